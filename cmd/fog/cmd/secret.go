package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/secrets"
)

const secretHelp = `Keep what your jobs need and nobody else may know. A job file names a secret by its path, and only the node that runs a task gets what it
holds, while it runs it. Whoever owns that node can read it all the same: give jobs keys that open little and can be replaced.`

func newSecretCmd(a *app) *cobra.Command {
	var file string
	put := &cobra.Command{
		Use: "put PATH", Short: "Set a secret at the gateway to what is on standard input", Args: cobra.ExactArgs(1),
		Long: secretHelp + `

A terminal is asked for one line, which is not shown; otherwise all of standard input is taken, without the last line end.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.putSecret(cmd.Context(), args[0], file) },
	}
	put.Flags().StringVar(&file, "file", "", "take the content of this file as it is")
	g := group("secret", "Keep secrets of your jobs at the gateway",
		put,
		&cobra.Command{
			Use: "list", Short: "List the paths of your secrets", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.listSecrets(cmd.Context()) },
		},
		&cobra.Command{
			Use: "rm PATH", Short: "Forget a secret", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.changeSecret(cmd.Context(), http.MethodDelete, args[0], nil, "forgotten")
			},
		},
		&cobra.Command{
			Use: "prune", Short: "Forget the keys of encrypted inputs that none of your jobs needs any more", Args: cobra.NoArgs,
			Long: `Forget the keys of encrypted inputs (fog-inputs/…) of which no open job and no periodic job that goes on makes use. Keys of the last day's pushes
from this home are kept. Those of pushes from elsewhere whose job is still to be submitted are forgotten too; push again then.`,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.pruneSecrets(cmd.Context()) },
		},
	)
	g.Long = secretHelp
	return g
}

func (a *app) putSecret(ctx context.Context, path, file string) error {
	if err := secrets.CheckJobPath(path); err != nil {
		return usagef("path %w", err)
	}
	value, err := a.readSecret(ctx, file)
	if err != nil {
		return err
	}
	if len(value) == 0 || len(value) > secrets.MaxJobValue {
		return fmt.Errorf("the secret has %d bytes; it must have 1 to %d", len(value), secrets.MaxJobValue)
	}
	return a.changeSecret(ctx, http.MethodPut, path, gateway.NewSecret{Value: value}, "set")
}

func (a *app) readSecret(ctx context.Context, file string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	if fd := int(a.stdin.Fd()); term.IsTerminal(fd) {
		a.say("The secret:")
		line, err := interruptible(ctx, a.stdin, func() (string, error) {
			raw, err := term.ReadPassword(fd)
			return string(raw), err
		})
		return []byte(line), err
	}
	raw, err := io.ReadAll(io.LimitReader(a.stdin, secrets.MaxJobValue+3))
	return []byte(strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")), err
}

func (a *app) changeSecret(ctx context.Context, method, path string, in any, done string) error {
	if err := secrets.CheckJobPath(path); err != nil {
		return usagef("path %w", err)
	}
	var out gateway.SecretPaths
	if err := a.call(ctx, method, "/v1/secrets/"+secrets.JobFile(path), in, &out); err != nil {
		return err
	}
	return a.print(out, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s is %s\n", path, done)
		return err
	})
}

func (a *app) listSecrets(ctx context.Context) error {
	paths, err := a.secretPaths(ctx)
	if err != nil {
		return err
	}
	out := gateway.SecretPaths{Paths: paths}
	return a.print(out, func(w io.Writer) error {
		if len(out.Paths) == 0 {
			a.say("you keep no secrets here; set one with `fog secret put PATH`")
		}
		for _, path := range out.Paths {
			if _, err := fmt.Fprintln(w, path); err != nil {
				return err
			}
		}
		return nil
	})
}

// secretPaths are what the owner keeps at the gateway.
func (a *app) secretPaths(ctx context.Context) ([]string, error) {
	var have gateway.SecretPaths
	err := a.call(ctx, http.MethodGet, "/v1/secrets", nil, &have)
	return have.Paths, err
}

// checkSecrets refuses a job whose secrets no node could get. A gateway whose store does not answer now is no reason: the job waits for it.
func (a *app) checkSecrets(ctx context.Context, p jobclient.Packed) error {
	if len(p.Spec.SecretPaths()) == 0 {
		return nil
	}
	if a.profile.Gateway == "" {
		return hint(errors.New("the job needs secrets, which nodes get from a gateway, and none is known here"), "log in with `fog gateway login --gateway URL`")
	}
	have, err := a.secretPaths(ctx)
	var refused *gwclient.Error
	if errors.As(err, &refused) && refused.Code == gateway.CodeNoSecrets {
		a.say("the job needs secrets, and the gateway's store of them does not answer now; the job waits until it does")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the job needs secrets: %w", err)
	}
	for _, ref := range p.Spec.Secrets {
		if !slices.Contains(have, ref.Path) {
			return hint(fmt.Errorf("the job needs the secret %s, which the gateway does not have", ref.Path), "set it with `fog secret put %s`", ref.Path)
		}
	}
	return nil
}
