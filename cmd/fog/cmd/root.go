package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// Run carries out one command; the standard streams are its input and output.
func Run(ctx context.Context, args []string) error {
	a := newApp()
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if closeErr := a.close(); closeErr != nil {
		a.log.Warn("cannot close all connections", "error", closeErr)
	}
	return a.explain(err)
}

func newRoot(a *app) *cobra.Command {
	root := group("fog", "Rent machines to others, or run jobs on theirs",
		newJobCmd(a), newNodeCmd(a), newAgentCmd(a), newOracleCmd(a), newRegistryCmd(a), newGatewayCmd(a), newACLCmd(a), newAuditCmd(a), newKeysCmd(a),
		newSecretCmd(a), newVaultCmd(a), newCertCmd(a), newDoctorCmd(a),
		newDevnetCmd(a), newDemoCmd(a), newClassifyCmd(a), newSimCmd(a), newBenchCmd(a),
	)
	root.Long = `fog is everything off chain in one tool: the developer's jobs, the provider's node and agent, the oracle's worker, the registry,
the gateway and a development network.

A stranger begins with "fog demo", a developer with "fog job init", a provider with "fog node register".`
	root.Version = programVersion()
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	a.addFlags(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return a.prepare(cmd.Context(), cmd.Flags(), cmd.Annotations[outputsAnnotation])
	}
	root.SetFlagErrorFunc(usage)
	strict(root)
	return root
}

// group is a command that holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	g.AddCommand(commands...)
	return g
}

// strict makes mistakes in arguments errors of usage, in this command and all below it. A command that only holds others prints its
// help when it is alone, and with an unknown word says what was meant.
func strict(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return usage(cmd, check(cmd, args)) }
	}
	if !cmd.Runnable() {
		cmd.Args, cmd.RunE, cmd.SuggestionsMinimumDistance = cobra.ArbitraryArgs, unknownCommand, 2
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q for %q; did you mean %q?", args[0], cmd.CommandPath(), near[0])
	}
	return usagef("unknown command %q for %q; see: %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
}

// usage makes err an error of usage of cmd.
func usage(cmd *cobra.Command, err error) error {
	if err == nil || errors.As(err, new(*usageError)) {
		return err
	}
	return usagef("%w; usage: %s", err, cmd.UseLine())
}
