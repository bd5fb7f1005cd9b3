package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/profile"
)

// parseBytes reads a size like 10GiB; 0 is no limit.
func parseBytes(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	mib, err := jobfile.ParseMiB(s)
	return int64(mib) << 20, err
}

func (a *app) noteGateway(gatewayURL, registryURL string) error {
	return a.updateProfile(func(p *profile.Profile) { p.Gateway, p.Registry = gatewayURL, registryURL })
}

func (a *app) logout(ctx context.Context) error {
	l, err := a.loadLogin()
	if err != nil {
		return err
	}
	id, err := credential.ParseID(l.Secret)
	if err != nil {
		return err
	}
	g, err := a.gateway()
	if err != nil {
		return err
	}
	revokeErr := g.Call(ctx, l.Secret, http.MethodDelete, "/v1/tokens/"+id, nil, nil) // by the login itself, whatever the environment has
	if err := os.Remove(a.loginPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if revokeErr != nil {
		return fmt.Errorf("the token is removed here, and is good at the gateway until %s: %w", l.Expires.Local().Format(time.DateTime), revokeErr)
	}
	return a.print(map[string]string{"revoked": id}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, "logged out")
		return err
	})
}

func newGatewayTokenCmd(a *app) *cobra.Command {
	in := gateway.NewToken{}
	var life time.Duration
	var kind string
	create := &cobra.Command{
		Use: "create", Short: "Make a token for a machine or for CI, shown this once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Kind, in.Life = access.Credential(kind), int64(life/time.Second)
			var out gateway.Issued
			if err := a.call(cmd.Context(), http.MethodPost, "/v1/tokens", in, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				a.say("token %s, until %s; it is shown this once:", out.Token.ID, out.Token.Expires.Local().Format(time.DateTime))
				_, err := fmt.Fprintln(w, out.Secret)
				return err
			})
		},
	}
	create.Flags().StringVar(&kind, "kind", string(access.Key), "key for CI (up to a year), or machine (up to 90 days)")
	create.Flags().DurationVar(&life, "life", 30*24*time.Hour, "how long it lives")
	create.Flags().StringSliceVar(&in.Roles, "role", nil, "role of yours that it has; may be repeated (default: all of your login)")
	create.Flags().StringVar(&in.Note, "note", "", "what it is for")

	var owner string
	list := &cobra.Command{
		Use: "list", Short: "List your tokens, and when they were last used", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct {
				Tokens []credential.Token `json:"tokens"`
			}
			path := "/v1/tokens"
			if owner != "" {
				path += "?" + url.Values{"owner": {owner}}.Encode()
			}
			if err := a.call(cmd.Context(), http.MethodGet, path, nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error { return printTokens(w, out.Tokens) })
		},
	}
	list.Flags().StringVar(&owner, "owner", "", "address whose tokens to list, or all; takes a role for it")
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out credential.Token
			if err := a.call(cmd.Context(), http.MethodDelete, "/v1/tokens/"+url.PathEscape(args[0]), nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "token %s is revoked\n", out.ID)
				return err
			})
		},
	}
	return group("token", "Make, list and revoke tokens", create, list, revoke)
}

func printTokens(w io.Writer, tokens []credential.Token) error {
	rows := [][]string{{"ID", "KIND", "OF", "ROLES", "EXPIRES", "LAST USED", "FROM", "STATE", "NOTE"}}
	for _, t := range tokens {
		state, used := "good", "never"
		switch {
		case !t.Revoked.IsZero():
			state = "revoked"
		case !time.Now().Before(t.Expires):
			state = "expired"
		}
		if !t.Used.IsZero() {
			used = t.Used.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{
			t.ID, string(t.Kind), t.Address + t.Node, strings.Join(t.Roles, ","), t.Expires.Local().Format(time.DateTime), used, t.From, state, t.Note,
		})
	}
	return table(w, rows)
}

func newGatewayGrantCmd(a *app) *cobra.Command {
	var none bool
	grant := &cobra.Command{
		Use: "grant ADDRESS [ROLE…]", Short: "Show or replace the roles of an address, beside those that every wallet has", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, method := "/v1/grants/"+url.PathEscape(args[0]), http.MethodGet
			var in any
			if len(args) > 1 || none {
				method, in = http.MethodPut, gateway.Grants{Roles: append([]string{}, args[1:]...)}
			}
			var out gateway.Grants
			if err := a.call(cmd.Context(), method, path, in, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, strings.Join(out.Roles, " "))
				return err
			})
		},
	}
	grant.Flags().BoolVar(&none, "none", false, "take all granted roles away")
	return grant
}

func newGatewayPolicyCmd(a *app) *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Print the policies in force", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out gateway.PolicyText
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/policy", nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				_, err := fmt.Fprint(w, out.Text)
				return err
			})
		},
	}
	versions := &cobra.Command{
		Use: "versions", Short: "List all versions of the policies", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct {
				Versions []gateway.PolicyVersion `json:"versions"`
			}
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/policy/versions", nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) error {
				rows := [][]string{{"VERSION", "DIGEST", "TIME", "BY"}}
				for _, v := range out.Versions {
					rows = append(rows, []string{strconv.FormatUint(v.Version, 10), v.Digest, v.Time.Local().Format(time.DateTime), v.By})
				}
				return table(w, rows)
			})
		},
	}
	check := &cobra.Command{
		Use: "check FILE", Short: "Check a file of policies, without a gateway", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			p, err := access.Compile(text)
			if err != nil {
				return err
			}
			return a.print(map[string]string{"digest": p.Digest()}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "good: %s\n", p.Digest())
				return err
			})
		},
	}
	set := &cobra.Command{
		Use: "set FILE", Short: "Put policies in force from the next request on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var out gateway.PolicyVersion
			if err := a.call(cmd.Context(), http.MethodPut, "/v1/policy", text, &out); err != nil {
				return err
			}
			return a.printVersion(out)
		},
	}
	builtIn := &cobra.Command{
		Use: "default", Short: "Print the policies out of the box", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(access.DefaultText())
			return err
		},
	}
	return group("policy", "Show, check and write the policies", show, check, set, versions, builtIn, newPolicyResetCmd(a))
}

func newPolicyResetCmd(a *app) *cobra.Command {
	var kept gatewayStore
	reset := &cobra.Command{
		Use: "reset [FILE]", Short: "Write policies while the gateway is stopped: those out of the box, or a file", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			text := access.DefaultText()
			if len(args) > 0 {
				if text, err = os.ReadFile(args[0]); err != nil {
					return err
				}
			}
			return kept.with(cmd.Context(), a, true, func(s store.Store) error {
				version, err := gateway.ResetRules(cmd.Context(), gateway.PoliciesDir(a.gatewayDir(kept.data)), s, text, time.Now)
				if err != nil {
					return err
				}
				return a.printVersion(version)
			})
		},
	}
	kept.add(reset.Flags(), "the gateway's folder (default: gateway in the home)")
	return reset
}

func (a *app) printVersion(v gateway.PolicyVersion) error {
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "version %d: %s\n", v.Version, v.Digest)
		return err
	})
}
