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
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// gatewayFlags of `fog gateway run`.
type gatewayFlags struct {
	listen, url string
	cert, key   string
	kept        gatewayStore
	operators   []string
	roles       []string
	external    bool
	copyFlags
	service, content   string
	quota              string
	gc, gcAge, session time.Duration
	perToken, perAddr  float64
	proxies            []string
	enrol              bool
	machines           machineFlags
	jobSecrets         bool
	vaultURL           string
	jwks               jwksFlags
}

// machineFlags of the door for those with certificates.
type machineFlags struct{ listen, url, identity string }

const gatewayRunHelp = `Serve the gateway: logins, tokens, policies, the read-only API of nodes, jobs, results and logs, and the registry with its tokens.

Without --external-registry the gateway serves the registry itself, below /v2/ of its own URL. With it, the registry of --registry must be
set up to take this gateway's tokens: its certificate is token-cert.pem in the gateway's folder, its issuer is "fog-gateway", its realm is
URL/registry/token, its service is --registry-service.

With --certificate and --certificate-key it ends TLS itself; the files may be replaced at any time. Without, it speaks plain HTTP, and with nobody but
this machine and the proxies of --trusted-proxy: put one with TLS in front (see "fog gateway nginx").`

func newGatewayCmd(a *app) *cobra.Command {
	var f gatewayFlags
	run := &cobra.Command{
		Use: "run", Short: "Serve the gateway until it is interrupted", Long: gatewayRunHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runGateway(cmd.Context(), f) },
	}
	fs := run.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "host:port to listen on; port 0 takes a free one")
	fs.StringVar(&f.url, "url", "", "where clients reach the gateway, such as https://grid.example (default: the address listened on)")
	fs.StringVar(&f.cert, "certificate", "", "PEM file of the certificate, to end TLS here; it may be replaced at any time")
	fs.StringVar(&f.key, "certificate-key", "", "PEM file of its key")
	f.kept.add(fs, "folder of tokens, policies, keys and the audit log (default: gateway in the home)")
	fs.StringSliceVar(&f.operators, "operator", nil, "address with the role operator; may be repeated")
	fs.StringSliceVar(&f.roles, "default-role", []string{access.Developer, access.Provider}, "role that every wallet has; may be repeated")
	fs.BoolVar(&f.external, "external-registry", false, "issue tokens for the registry of --registry in place of serving one")
	fs.StringVar(&f.service, "registry-service", "", "name of the registry in its tokens (default: the host of --url)")
	fs.StringVar(&f.content, "registry-data", "", "folder of the registry's content (default: registry in the gateway's folder)")
	fs.StringVar(&f.quota, "quota", "10GiB", "what each developer may hold in the embedded registry; 0: no limit")
	fs.DurationVar(&f.gc, "gc-interval", time.Hour, "how often the embedded registry removes what no open job needs; 0: never")
	fs.DurationVar(&f.gcAge, "gc-age", gateway.KeepContent, "how long such content, and results of closed jobs, stay")
	f.copyFlags.register(run)
	fs.DurationVar(&f.session, "session", time.Hour, "how long a login lasts")
	fs.Float64Var(&f.perToken, "rate-token", 50, "requests a second of one token")
	fs.Float64Var(&f.perAddr, "rate-address", 200, "requests a second from one address")
	fs.StringSliceVar(&f.proxies, "trusted-proxy", nil, "network whose X-Forwarded-For is believed, such as 127.0.0.0/8; may be repeated")
	fs.BoolVar(&f.enrol, "enrol", false, "give nodes certificates by the authority of the secrets, and revoke those of nodes that are jailed or retired")
	fs.StringVar(&f.machines.listen, "machines", "", "host:port of a second door, with TLS, which demands such a certificate")
	fs.StringVar(&f.machines.url, "machines-url", "", "where machines reach it, such as https://grid.example:8443 (default: the address listened on)")
	fs.StringVar(&f.machines.identity, "identity", "fog://gateway/main", "URI that the certificate of that door names; with Vault that of vault.json's role and name")
	fs.BoolVar(&f.jobSecrets, "job-secrets", false, "keep the secrets of jobs, in this home's secrets or with --secrets vault in Vault, and lend them to the nodes that run the jobs")
	fs.StringVar(&f.vaultURL, "vault-url", "", "where nodes reach Vault to open what they are lent (default: the address in the Vault configuration)")
	f.jwks.add(run)
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
		Dir: a.gatewayDir(f.kept.data), URL: strings.TrimSuffix(f.url, "/"), Operators: f.operators, DefaultRoles: f.roles, RegistryService: f.service,
		RegistryDir: f.content, VaultURL: f.vaultURL, GCInterval: f.gc, GCAge: f.gcAge, SessionLife: f.session, Log: a.log,
		ScrubInterval: f.scrubInterval, Scrub: f.scrub(),
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
	if err := f.certificate(&cfg); err != nil {
		return cfg, err
	}
	if err := f.copyFlags.check(); err != nil {
		return cfg, err
	}
	if f.external && (len(f.copies) > 0 || f.metrics != "") {
		return cfg, usagef("--copy and --metrics-listen are of the embedded registry; give them to the registry of --external-registry")
	}
	quota, err := parseBytes(f.quota)
	if err != nil {
		return cfg, usagef("--quota: %w", err)
	}
	cfg.QuotaBytes = quota
	if cfg.RegistryDir == "" {
		cfg.RegistryDir = filepath.Join(cfg.Dir, "registry")
	}
	if f.external {
		cfg.RegistryURL = a.profile.Registry
	}
	return cfg, nil
}

// certificate has the gateway end TLS, or makes sure that something before it does.
func (f gatewayFlags) certificate(cfg *gateway.Config) error {
	switch {
	case f.cert != "" && f.key != "":
		files, err := mtls.OpenFiles(f.cert, f.key)
		if err != nil {
			return usagef("--certificate, --certificate-key: %w", err)
		}
		cfg.Certificate = files.Certificate
	case f.cert != "" || f.key != "":
		return usagef("--certificate and --certificate-key go together")
	case !gateway.IsLoopback(f.listen) && len(f.proxies) == 0:
		return usagef("--listen %s would take tokens in the clear; give --certificate and --certificate-key, or listen on this machine and put a proxy with TLS in front, or name that proxy with --trusted-proxy", f.listen)
	}
	return nil
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

func (a *app) runGateway(ctx context.Context, f gatewayFlags) error {
	cfg, err := f.config(a)
	if err != nil {
		return err
	}
	client, err := a.dialChain()
	if err != nil {
		return err
	}
	cfg.Chain = client
	if cfg.Copies, err = f.open(); err != nil {
		return err
	}
	user, err := f.kept.user(a)
	if err != nil {
		return err
	}
	for _, operator := range f.operators {
		if _, err := client.Codec().Accounts().StringToBytes(operator); err != nil {
			return usagef("--operator %q: %w", operator, err)
		}
	}
	if cfg.Secrets, err = a.jobSecrets(f); err != nil {
		return err
	}
	if cfg.Workloads, err = f.jwks.verifier(f.jobSecrets); err != nil {
		return err
	}
	if f.enrol {
		if cfg.Authority, err = a.issuer(); err != nil {
			return err
		}
		cfg.Blocks = client
	}
	on, err := f.listenOn(&cfg)
	if err != nil {
		return err
	}
	return user.during(ctx, func(ctx context.Context) (err error) {
		db, err := f.kept.openDatabase(ctx, user)
		if err != nil {
			return errors.Join(err, on.close())
		}
		if db != nil {
			defer func() { err = errors.Join(err, db.Close()) }()
			cfg.Store = db
		}
		return a.serveGateway(ctx, cfg, on, f.metrics)
	})
}

// doors are where a gateway listens; machines may be nil.
type doors struct{ people, machines net.Listener }

func (d doors) close() error {
	err := d.people.Close()
	if d.machines != nil {
		err = errors.Join(err, d.machines.Close())
	}
	return err
}

func (f gatewayFlags) listenOn(cfg *gateway.Config) (on doors, err error) {
	if on.people, err = net.Listen("tcp", f.listen); err != nil {
		return on, hint(err, "choose another --listen; port 0 takes a free one")
	}
	if on.machines, err = f.machines.open(f.enrol, cfg); err != nil {
		return on, errors.Join(err, on.close())
	}
	if cfg.URL == "" {
		cfg.URL = "http://" + on.people.Addr().String()
		if cfg.Certificate != nil {
			cfg.URL = "https://" + on.people.Addr().String()
		}
	}
	return on, nil
}

func (a *app) serveGateway(ctx context.Context, cfg gateway.Config, on doors, metrics string) (err error) {
	server, err := gateway.New(ctx, cfg)
	if err != nil {
		return errors.Join(err, on.close())
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if metrics != "" {
		if err := a.serveMetrics(ctx, "--metrics-listen", metrics, server.Registry()); err != nil {
			return errors.Join(err, on.close())
		}
	}
	v := struct {
		URL         string `json:"url"`
		Listen      string `json:"listen"`
		Data        string `json:"data"`
		Certificate string `json:"token_certificate"`
		Machines    string `json:"machines,omitempty"`
	}{cfg.URL, on.people.Addr().String(), cfg.Dir, server.TokenCertificate(), cfg.Machines.URL}
	if err := a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "gateway at %s, listening on %s, state in %s\n", v.URL, v.Listen, v.Data)
		if err == nil && v.Machines != "" {
			_, err = fmt.Fprintf(w, "door for machines with certificates at %s\n", v.Machines)
		}
		return err
	}); err != nil {
		return errors.Join(err, on.close())
	}
	if on.machines == nil {
		return server.Serve(ctx, on.people)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(ctx, on.people) })
	g.Go(func() error { return server.ServeMachines(ctx, on.machines) })
	return g.Wait()
}

// open listens on the door for machines; nil if there is to be none.
func (m machineFlags) open(enrol bool, cfg *gateway.Config) (net.Listener, error) {
	if m.listen == "" {
		return nil, nil
	}
	if !enrol {
		return nil, usagef("--machines demands certificates, and nobody has any without --enrol")
	}
	lis, err := net.Listen("tcp", m.listen)
	if err != nil {
		return nil, hint(err, "choose another --machines; port 0 takes a free one")
	}
	if m.url == "" {
		m.url = "https://" + lis.Addr().String()
	}
	cfg.Machines = gateway.Machines{URL: strings.TrimSuffix(m.url, "/"), Identity: m.identity}
	return lis, nil
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
