package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/secrets"
)

// gatewayFlags of `fog gateway run`.
type gatewayFlags struct {
	listen, url, data  string
	operators          []string
	roles              []string
	external           bool
	service, content   string
	quota              string
	gc, gcAge, session time.Duration
	perToken, perAddr  float64
	proxies            []string
	jobSecrets         bool
	vaultURL           string
	copyFlags
	database databaseFlags
}

const gatewayRunHelp = `Serve the gateway: logins, tokens, policies, the read-only API of nodes, jobs, results and logs, and the registry with its tokens.

Without --external-registry the gateway serves the registry itself, below /v2/ of its own URL. With it, the registry of --registry must be
set up to take this gateway's tokens: its certificate is token-cert.pem in the gateway's folder, its issuer is "fog-gateway", its realm is
URL/registry/token, its service is --registry-service.

It speaks plain HTTP. Off this machine, put a proxy with TLS in front (see "fog gateway nginx"), and name it with --trusted-proxy.`

func newGatewayCmd(a *app) *cobra.Command {
	var f gatewayFlags
	run := &cobra.Command{
		Use: "run", Short: "Serve the gateway until it is interrupted", Long: gatewayRunHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runGateway(cmd.Context(), f) },
	}
	fs := run.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "host:port to listen on; port 0 takes a free one")
	fs.StringVar(&f.url, "url", "", "where clients reach the gateway, such as https://grid.example (default: http and the address listened on)")
	fs.StringVar(&f.data, "data", "", "folder of tokens, policies, keys and the audit log (default: gateway in the home)")
	fs.StringSliceVar(&f.operators, "operator", nil, "address with the role operator; may be repeated")
	fs.StringSliceVar(&f.roles, "default-role", []string{access.Developer, access.Provider}, "role that every wallet has; may be repeated")
	fs.BoolVar(&f.external, "external-registry", false, "issue tokens for the registry of --registry in place of serving one")
	fs.StringVar(&f.service, "registry-service", "", "name of the registry in its tokens (default: the host of --url)")
	fs.StringVar(&f.content, "registry-data", "", "folder of the registry's content (default: registry in the gateway's folder)")
	fs.StringVar(&f.quota, "quota", "10GiB", "what each developer may hold in the embedded registry; 0: no limit")
	fs.DurationVar(&f.gc, "gc-interval", time.Hour, "how often the embedded registry removes what no open job needs; 0: never")
	fs.DurationVar(&f.gcAge, "retention", gateway.Retention, "how long inputs, and results of closed jobs, stay after anybody has asked for them; what open jobs need always stays")
	fs.DurationVar(&f.gcAge, "gc-age", gateway.Retention, "the same as --retention")
	deprecate(run, "gc-age", "retention")
	f.register(run)
	fs.StringVar(&f.database.url, "database-url", "", "keep tokens, grants and versions of policies in this PostgreSQL, such as postgres://db.example/fog?sslmode=verify-full (default: a file)")
	fs.StringVar(&f.database.lease, "database-lease", "", "name of the lease that lends the database's user, such as postgres (default: the user of the URL, or of PostgreSQL's variables)")
	fs.StringVar(&f.database.role, "database-role", "fog_gateway", "role that owns the table, which users that are lent take on; empty: none")
	fs.DurationVar(&f.session, "session", time.Hour, "how long a login lasts")
	fs.Float64Var(&f.perToken, "rate-token", 50, "requests a second of one token")
	fs.Float64Var(&f.perAddr, "rate-address", 200, "requests a second from one address")
	fs.StringSliceVar(&f.proxies, "trusted-proxy", nil, "network whose X-Forwarded-For is believed, such as 127.0.0.0/8; may be repeated")
	fs.BoolVar(&f.jobSecrets, "job-secrets", false, "keep the secrets of jobs, in this home's secrets or with --secrets vault in Vault, and lend them to the nodes that run the jobs")
	fs.StringVar(&f.vaultURL, "vault-url", "", "where nodes reach Vault to open what they are lent (default: the address in the Vault configuration)")
	return group("gateway", "Run the grid's door for people and machines, or use it",
		run, newGatewayLoginCmd(a), newGatewayLogoutCmd(a), newGatewayWhoamiCmd(a), newGatewayTokenCmd(a), newGatewayGrantCmd(a), newGatewayPolicyCmd(a),
		newGatewayNginxCmd(a), newGatewayOpenAPICmd(a),
	)
}

func newGatewayOpenAPICmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the gateway", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(gateway.OpenAPI())
			return err
		},
	}
}

// gatewayDir is the folder of the gateway that this home runs.
func (a *app) gatewayDir(data string) string {
	if data != "" {
		return data
	}
	return filepath.Join(a.home, "gateway")
}

func (f gatewayFlags) config(a *app) (gateway.Config, error) {
	cfg := gateway.Config{
		Dir: a.gatewayDir(f.data), URL: strings.TrimSuffix(f.url, "/"), Operators: f.operators, DefaultRoles: f.roles, RegistryService: f.service,
		RegistryDir: f.content, VaultURL: f.vaultURL, GCInterval: f.gc, GCAge: f.gcAge, SessionLife: f.session, Log: a.log,
		PerToken: gateway.Rate{PerSecond: f.perToken, Burst: burst(4 * f.perToken)}, PerAddress: gateway.Rate{PerSecond: f.perAddr, Burst: burst(5 * f.perAddr)},
	}
	if f.perToken <= 0 || f.perAddr <= 0 {
		return cfg, usagef("--rate-token and --rate-address must be above zero")
	}
	for _, role := range f.roles {
		if err := access.CheckRole(role); err != nil {
			return cfg, usagef("--default-role: %w", err)
		}
	}
	for _, p := range f.proxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return cfg, usagef("--trusted-proxy: %w; write a network like 127.0.0.0/8", err)
		}
		cfg.TrustedProxies = append(cfg.TrustedProxies, prefix)
	}
	if !gateway.IsLoopback(f.listen) && len(f.proxies) == 0 {
		return cfg, usagef("--listen %s would take tokens in the clear; listen on this machine and put a proxy with TLS in front, or name that proxy with --trusted-proxy", f.listen)
	}
	quota, err := parseBytes(f.quota)
	if err != nil {
		return cfg, usagef("--quota: %w", err)
	}
	cfg.QuotaBytes = quota
	if cfg.RegistryDir == "" {
		cfg.RegistryDir = filepath.Join(cfg.Dir, "registry")
	}
	if err := f.check(); err != nil {
		return cfg, err
	}
	if f.gcAge <= 0 {
		return cfg, usagef("--retention is %s; it must be above zero, or leave collection off with --gc-interval 0", f.gcAge)
	}
	cfg.ScrubEvery, cfg.Scrub = f.scrubInterval, f.scrub()
	if f.external {
		if len(f.copies) > 0 {
			return cfg, usagef("--copy is for the embedded registry; with --external-registry, that one keeps its own")
		}
		cfg.RegistryURL = a.profile.Registry
	}
	cfg.Copies, err = f.open()
	return cfg, err
}

// jobSecrets opens what keeps the secrets of jobs, if this gateway is to.
func (a *app) jobSecrets(f gatewayFlags) (secrets.JobLender, error) {
	if !f.jobSecrets {
		if f.vaultURL != "" {
			return nil, usagef("--vault-url goes with --job-secrets")
		}
		return nil, nil
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	lender, ok := store.(secrets.JobLender)
	if !ok {
		return nil, usagef("--job-secrets: these secrets keep none of jobs")
	}
	return lender, nil
}

func burst(n float64) int { return int(min(max(n, 1), 1e6)) }

func (a *app) runGateway(ctx context.Context, f gatewayFlags) (err error) {
	cfg, err := f.config(a)
	if err != nil {
		return err
	}
	client, err := a.dialChain()
	if err != nil {
		return err
	}
	cfg.Chain = client
	for _, operator := range f.operators {
		if _, err := client.Codec().Accounts().StringToBytes(operator); err != nil {
			return usagef("--operator %q: %w", operator, err)
		}
	}
	if cfg.Secrets, err = a.jobSecrets(f); err != nil {
		return err
	}
	lis, err := net.Listen("tcp", f.listen)
	if err != nil {
		return hint(err, "choose another --listen; port 0 takes a free one")
	}
	if cfg.URL == "" {
		cfg.URL = "http://" + lis.Addr().String()
	}
	kept, giveBack, err := a.database(ctx, f.database)
	defer func() { err = errors.Join(err, giveBack()) }()
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	cfg.Store = kept
	server, err := gateway.New(ctx, cfg)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if f.metrics != "" {
		serving, stop := context.WithCancel(ctx)
		defer stop()
		if err := a.serveMetrics(serving, f.metrics, server.Collectors()...); err != nil {
			return errors.Join(err, lis.Close())
		}
	}
	v := struct {
		URL         string `json:"url"`
		Listen      string `json:"listen"`
		Data        string `json:"data"`
		Certificate string `json:"token_certificate"`
	}{cfg.URL, lis.Addr().String(), cfg.Dir, server.TokenCertificate()}
	if err := a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "gateway at %s, listening on %s, state in %s\n", v.URL, v.Listen, v.Data)
		return err
	}); err != nil {
		return errors.Join(err, lis.Close())
	}
	return server.Serve(ctx, lis)
}

func newGatewayLoginCmd(a *app) *cobra.Command {
	var roles []string
	login := &cobra.Command{
		Use: "login", Short: "Log in with the key of this home, by a signature that is no transaction", Args: cobra.NoArgs,
		Long: `Log in at a gateway with --key: the gateway's challenge is signed as ADR-036 says, if it is for the host of --gateway. The token is kept in the
home until it expires; gateway and registry are noted in the profile.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.loginAtGateway(cmd.Context(), roles) },
	}
	login.Flags().StringSliceVar(&roles, "role", nil, "log in with this role only; may be repeated (default: all but oracle)")
	return login
}

func (a *app) loginAtGateway(ctx context.Context, roles []string) error {
	g, err := a.gateway()
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	key, err := store.Key(ctx, a.profile.Key)
	if err != nil {
		return a.keyError(a.profile.Key, err)
	}
	issued, err := g.Login(ctx, key, roles)
	if err != nil {
		return err
	}
	var who gateway.Who
	if err := g.Call(ctx, issued.Secret, http.MethodGet, "/v1/whoami", nil, &who); err != nil {
		return err
	}
	if err := a.saveLogin(login{a.profile.Gateway, issued.Token.Address, issued.Secret, issued.Token.Expires}); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	if err := a.noteGateway(a.profile.Gateway, who.RegistryURL); err != nil {
		return err
	}
	return a.printWho(who)
}

func newGatewayLogoutCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Revoke this home's login", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.logout(cmd.Context()) },
	}
}

func newGatewayWhoamiCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show what the gateway knows of the token in use", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var who gateway.Who
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/whoami", nil, &who); err != nil {
				return err
			}
			return a.printWho(who)
		},
	}
}

func (a *app) printWho(who gateway.Who) error {
	return a.print(who, func(w io.Writer) error {
		return fields(w, "address", who.Token.Address, "node", who.Token.Node, "token", who.Token.ID+" ("+string(who.Token.Kind)+")",
			"roles", strings.Join(who.Roles, ", "), "expires", who.Token.Expires.Local().Format(time.DateTime), "registry", who.RegistryURL)
	})
}
