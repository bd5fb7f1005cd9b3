package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/version"
)

// Run carries out one command; the standard streams are its input and output.
func Run(ctx context.Context, args []string) error {
	a := newApp()
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if closeErr := a.close(); closeErr != nil {
		a.log.Warn("cannot close the connection to the chain", "error", closeErr)
	}
	return a.explain(err)
}

func newRoot(a *app) *cobra.Command {
	root := group("fog", "Rent machines to others, or run jobs on theirs",
		newJobCmd(a), newNodeCmd(a), newAgentCmd(a), newOracleCmd(a), newRegistryCmd(a), newKeysCmd(a),
		newDevnetCmd(a), newDemoCmd(a),
	)
	root.Long = `fog is everything off chain in one tool: the developer's jobs, the provider's node and agent, the oracle's worker, the registry
and a development network.

A stranger begins with "fog demo", a developer with "fog job init", a provider with "fog node register".`
	root.Version = version.Version
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	a.addFlags(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd.Context(), cmd.Flags()) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	return root
}

// group is a command that holds others: alone it prints its help, with an unknown word it says what was meant.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usagef("unknown command %q for %q; did you mean %q?", args[0], cmd.CommandPath(), near[0])
			}
			return usagef("unknown command %q for %q; see: %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
		},
	}
	g.AddCommand(commands...)
	return g
}

// takes checks the arguments of a command; a mistake is one of usage.
func takes(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}

// usage makes err an error of usage of cmd.
func usage(cmd *cobra.Command, err error) error {
	if errors.As(err, new(*usageError)) {
		return err
	}
	return usagef("%w; usage: %s", err, cmd.UseLine())
}
