package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	deploy "github.com/foggrid/fogd/deploy/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
)

// vaultFlags of `fog vault`.
type vaultFlags struct {
	admin     setup.Admin
	tokenFile string
	programs  []string
	settings  []string
	dir       string
	yes       bool
}

func newVaultCmd(a *app) *cobra.Command {
	var f vaultFlags
	plan := &cobra.Command{
		Use: "plan", Short: "Show how a Vault differs from what the programs of fog need", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.planVault(cmd.Context(), f) },
	}
	f.addPlan(plan)
	apply := &cobra.Command{
		Use: "apply", Short: "Show the difference, and make it: mounts, roles, least-privilege policies", Args: cobra.NoArgs,
		Long: `Show the difference, and make it: mounts, roles, least-privilege policies.

Nothing is deleted. Applying again changes nothing. Each --program gets a role of its own, oracle=main being one called main; with
oracle+dispatcher=main it also gets the policy of a dispatcher. Settings that are not given leave out what needs them: nomad_address (and
$FOG_VAULT_NOMAD_TOKEN), database_url (and $FOG_VAULT_DATABASE_USER and _PASSWORD), jwks_url, cert_ca. See docs/security-secrets.md.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.applyVault(cmd.Context(), f) },
	}
	f.addPlan(apply)
	apply.Flags().BoolVar(&f.yes, "yes", false, "do not ask")

	var wrap time.Duration
	secretID := &cobra.Command{
		Use: "secret-id ROLE=NAME", Short: "Make a wrapped, single-use secret id with which a program logs in", Args: cobra.ExactArgs(1),
		Long: `Make a wrapped, single-use secret id with which a program logs in.

Write the wrapping token into the file that the program's vault.json names as secret_id_file, with "wrapped": true. If the program then says that it was used
before, somebody else used it.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.vaultSecretID(cmd.Context(), f, args[0], wrap) },
	}
	f.addAdmin(secretID)
	secretID.Flags().DurationVar(&wrap, "wrap-ttl", 10*time.Minute, "how long the wrapping token is good")
	return group("vault", "Set up HashiCorp Vault or OpenBao for the programs of fog", plan, apply, secretID)
}

func (f *vaultFlags) addAdmin(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.admin.Address, "vault-addr", "", "URL of the server (default $VAULT_ADDR)")
	fl.StringVar(&f.admin.CACert, "vault-ca", "", "file with the CA of the server (default $VAULT_CACERT)")
	fl.StringVar(&f.admin.Namespace, "vault-namespace", "", "namespace (default $VAULT_NAMESPACE)")
	fl.StringVar(&f.tokenFile, "vault-token-file", "", "file with a token that may set up the Vault (default: $VAULT_TOKEN)")
}

func (f *vaultFlags) addPlan(cmd *cobra.Command) {
	f.addAdmin(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.programs, "program", nil, "program that gets access, ROLE[+ROLE]=NAME; again for each")
	fl.StringArrayVar(&f.settings, "set", nil, "setting, KEY=VALUE or KEY=@FILE; again for each")
	fl.StringVar(&f.dir, "dir", "", "folder to use in place of the built-in deploy/vault")
}

// read makes the input of a plan.
func (f *vaultFlags) read() (setup.Input, error) {
	in := setup.Input{Files: deploy.Files, Settings: map[string]string{}, Getenv: os.Getenv}
	if len(f.programs) == 0 {
		return in, usagef("who gets access? give --program ROLE=NAME, such as oracle=main")
	}
	for _, text := range f.programs {
		p, err := setup.ParseProgram(text)
		if err != nil {
			return in, usagef("--program %w", err)
		}
		in.Programs = append(in.Programs, p)
	}
	for _, text := range f.settings {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return in, usagef("--set is %q; write KEY=VALUE or KEY=@FILE", text)
		}
		if file, isFile := strings.CutPrefix(value, "@"); isFile {
			raw, err := os.ReadFile(file)
			if err != nil {
				return in, usagef("--set %s: %w", key, err)
			}
			value = string(raw)
		}
		in.Settings[key] = value
	}
	if f.dir != "" {
		in.Files = os.DirFS(f.dir)
		if _, err := fs.Stat(in.Files, "mounts.json"); err != nil {
			return in, usagef("--dir %s: %w", f.dir, err)
		}
	}
	return in, nil
}

func (f *vaultFlags) administrator() (setup.Admin, error) {
	admin := f.admin
	if f.tokenFile != "" {
		raw, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return admin, usagef("--vault-token-file: %w", err)
		}
		admin.Token = strings.TrimSpace(string(raw))
	}
	return admin, nil
}

func (a *app) vaultPlan(ctx context.Context, f vaultFlags) (setup.Plan, error) {
	in, err := f.read()
	if err != nil {
		return setup.Plan{}, err
	}
	admin, err := f.administrator()
	if err != nil {
		return setup.Plan{}, err
	}
	client, err := admin.Client()
	if err != nil {
		return setup.Plan{}, usagef("--vault-…: %w", err)
	}
	return setup.Make(ctx, client, in)
}

func (a *app) planVault(ctx context.Context, f vaultFlags) error {
	plan, err := a.vaultPlan(ctx, f)
	if err != nil {
		return err
	}
	return a.print(plan, func(w io.Writer) error { return writePlan(w, plan) })
}

func writePlan(w io.Writer, plan setup.Plan) error {
	marks := map[setup.Action]string{setup.Create: "+", setup.Update: "~"}
	for _, s := range plan.Steps {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", marks[s.Action], s.What, s.Path); err != nil {
			return err
		}
		for _, line := range s.Changes {
			if _, err := fmt.Fprintf(w, "    %s\n", line); err != nil {
				return err
			}
		}
	}
	for _, line := range plan.Skipped {
		if _, err := fmt.Fprintf(w, "left out: %s\n", line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d to change, %d as they should be\n", len(plan.Steps), plan.Unchanged)
	return err
}

func (a *app) applyVault(ctx context.Context, f vaultFlags) error {
	plan, err := a.vaultPlan(ctx, f)
	if err != nil {
		return err
	}
	if !a.json() {
		if err := writePlan(a.stdout, plan); err != nil {
			return err
		}
	}
	if len(plan.Steps) > 0 && !f.yes {
		if err := a.confirm(ctx, "Make these changes?"); err != nil {
			return err
		}
	}
	if err := plan.Apply(ctx, func(s setup.Step) { a.say("%sd %s %s", s.Action, s.What, s.Path) }); err != nil {
		return err
	}
	return a.print(plan, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d changed\n", len(plan.Steps))
		return err
	})
}

// confirm asks a person; where there is none, --yes must have been given.
func (a *app) confirm(ctx context.Context, question string) error {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return usagef("there is no terminal to ask at; look at the changes with plan, and give --yes")
	}
	fmt.Fprintf(a.stderr, "%s Type yes: ", question)
	line, err := interruptible(ctx, a.stdin, func() (string, error) { return bufio.NewReader(a.stdin).ReadString('\n') })
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

func (a *app) vaultSecretID(ctx context.Context, f vaultFlags, program string, wrap time.Duration) error {
	p, err := setup.ParseProgram(program)
	if err != nil {
		return usagef("%w", err)
	}
	admin, err := f.administrator()
	if err != nil {
		return err
	}
	client, err := admin.Client()
	if err != nil {
		return usagef("--vault-…: %w", err)
	}
	id, err := setup.NewSecretID(ctx, client, p, wrap.String())
	if err != nil {
		return err
	}
	return a.print(id, func(w io.Writer) error {
		return fields(w, "role id", id.RoleID, "wrapping token", id.WrappingToken, "good for", (time.Duration(id.TTL) * time.Second).String())
	})
}
