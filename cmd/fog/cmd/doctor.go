package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/tlscheck"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const doctorTLSHelp = `Connect to servers as a peer and as an attacker would, and say what to fix: protocol, suites, chain, name, identity, expiry, whether a client's
certificate is demanded, and how fresh a list of revoked certificates is.

Without arguments, the gateway and the registry of the profile and the oracles on chain are looked at; else the URLs that are given
(https://HOST[:PORT]). --tls-ca is the authority that their certificates are to be of, --tls-cert and --tls-key what is shown to them.

It exits with 1 if there is an error among the findings; with --strict also for a warning.`

// doctorFlags of `fog doctor tls`.
type doctorFlags struct {
	crl            string
	demand, strict bool
	oracles        bool
	patience       time.Duration
}

func newDoctorCmd(a *app) *cobra.Command {
	var f doctorFlags
	look := &cobra.Command{
		Use: "tls [URL]...", Short: "Check the transport security of a deployment, and say what to fix", Long: doctorTLSHelp, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.doctorTLS(cmd.Context(), f, args) },
	}
	look.Flags().StringVar(&f.crl, "crl", "", "file with the list of revoked certificates, as a proxy has it")
	look.Flags().BoolVar(&f.demand, "demand", false, "the servers must refuse whoever has no certificate of the authority")
	look.Flags().BoolVar(&f.strict, "strict", false, "fail for warnings too")
	look.Flags().BoolVar(&f.oracles, "oracles", false, "look at the oracles on chain too, beside the URLs")
	look.Flags().DurationVar(&f.patience, "patience", 5*time.Second, "how long each connection may take")
	return group("doctor", "Find out what is wrong with a deployment", look)
}

// examined is what was found at one place.
type examined struct {
	Endpoint string             `json:"endpoint"`
	Findings []tlscheck.Finding `json:"findings"`
}

func (a *app) doctorTLS(ctx context.Context, f doctorFlags, args []string) error {
	o, authorities, err := a.doctorOptions(f)
	if err != nil {
		return err
	}
	urls := args
	if len(args) == 0 {
		urls = []string{a.profile.Registry}
		if a.profile.Gateway != "" {
			urls = append([]string{a.profile.Gateway}, urls...)
		}
	}
	var all []examined
	for _, text := range urls {
		one, err := examineURL(ctx, text, f.demand, o)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if len(args) == 0 || f.oracles {
		all = append(all, a.examineOracles(ctx, o)...)
	}
	if f.crl != "" {
		one, err := examineList(f.crl, authorities, o)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.printExamined(all, f.strict)
}

// doctorOptions reads the files; the authorities are what a list of revoked certificates is to be signed by.
func (a *app) doctorOptions(f doctorFlags) (o tlscheck.Options, authorities []*x509.Certificate, err error) {
	o = tlscheck.Options{Patience: f.patience, Now: time.Now}
	if a.tlsFiles.ca != "" {
		raw, err := os.ReadFile(a.tlsFiles.ca)
		if err != nil {
			return o, nil, usagef("--tls-ca: %w", err)
		}
		if authorities, err = mtls.ParsePEM(raw); err != nil {
			return o, nil, usagef("--tls-ca %s: %w", a.tlsFiles.ca, err)
		}
		o.Roots = x509.NewCertPool()
		for _, c := range authorities {
			o.Roots.AddCert(c)
		}
	}
	if (a.tlsFiles.cert == "") != (a.tlsFiles.key == "") {
		return o, nil, usagef("--tls-cert and --tls-key go together")
	}
	if a.tlsFiles.cert != "" {
		own, err := tls.LoadX509KeyPair(a.tlsFiles.cert, a.tlsFiles.key)
		if err != nil {
			return o, nil, usagef("--tls-cert, --tls-key: %w", err)
		}
		o.Client = &own
	}
	return o, authorities, nil
}

func examineURL(ctx context.Context, text string, demand bool, o tlscheck.Options) (examined, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return examined{}, usagef("%q is no URL; write https://HOST or https://HOST:PORT", text)
	}
	if u.Scheme == "http" {
		return examined{text, []tlscheck.Finding{plain(u)}}, nil
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	e := tlscheck.Endpoint{Name: text, Address: net.JoinHostPort(u.Hostname(), port), Host: u.Hostname(), HTTP: true, Demands: demand}
	return examined{text, tlscheck.Examine(ctx, e, o)}, nil
}

// plain is what there is to say of a server without TLS.
func plain(u *url.URL) tlscheck.Finding {
	if gateway.IsLoopback(u.Host) {
		return tlscheck.Finding{Check: "tls", Level: tlscheck.OK, Found: "none, and none needed: it is on this machine"}
	}
	return tlscheck.Finding{
		Check: "tls", Level: tlscheck.Error, Found: "none: whoever is on the way reads along",
		Fix: "put a proxy with TLS in front (`fog gateway nginx`), and use its https URL",
	}
}

// examineOracles looks at those that the chain lists.
func (a *app) examineOracles(ctx context.Context, o tlscheck.Options) []examined {
	missing := func(err error) []examined {
		return []examined{{"oracles", []tlscheck.Finding{{
			Check: "chain", Level: tlscheck.Warning, Found: fmt.Sprintf("the oracles cannot be looked up: %v", err), Fix: "give --grpc and --rpc of a node, or name what to look at",
		}}}}
	}
	c, err := a.chain(ctx)
	if err != nil {
		return missing(err)
	}
	queries := oracletypes.NewQueryClient(c.Latest())
	list, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryOraclesResponse, error) {
		return queries.Oracles(ctx, &oracletypes.QueryOraclesRequest{ActiveOnly: true, Pagination: page})
	}, func(r *oracletypes.QueryOraclesResponse) []oracletypes.Oracle { return r.Oracles })
	if err != nil {
		return missing(err)
	}
	var all []examined
	for _, oracle := range list {
		if oracle.Endpoint == "" {
			continue
		}
		name := fmt.Sprintf("oracle %s at %s", oracle.Operator, oracle.Endpoint)
		e := tlscheck.Endpoint{Name: name, Address: oracle.Endpoint, Host: tlscheck.HostOf(oracle.Endpoint), Key: oracle.TransportKey, Demands: true}
		all = append(all, examined{name, tlscheck.Examine(ctx, e, o)})
	}
	return all
}

func examineList(path string, authorities []*x509.Certificate, o tlscheck.Options) (examined, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return examined{}, usagef("--crl: %w", err)
	}
	der := raw
	if block, _ := pem.Decode(raw); block != nil {
		der = block.Bytes
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return examined{}, usagef("--crl %s: %w", path, err)
	}
	var own *x509.Certificate
	if o.Client != nil {
		own = o.Client.Leaf
	}
	return examined{path, []tlscheck.Finding{tlscheck.List(list, authorities, own, o.Now())}}, nil
}

func (a *app) printExamined(all []examined, strict bool) error {
	v := struct {
		Endpoints []examined `json:"endpoints"`
		Errors    int        `json:"errors"`
		Warnings  int        `json:"warnings"`
	}{Endpoints: all}
	for _, e := range all {
		for _, f := range e.Findings {
			switch f.Level {
			case tlscheck.Error:
				v.Errors++
			case tlscheck.Warning:
				v.Warnings++
			}
		}
	}
	if err := a.print(v, func(w io.Writer) error {
		for _, e := range all {
			var rows [][]string
			for _, f := range e.Findings {
				rows = append(rows, []string{"", string(f.Level), f.Check, f.Found})
				if f.Fix != "" {
					rows = append(rows, []string{"", "", "", "fix: " + f.Fix})
				}
			}
			if _, err := fmt.Fprintln(w, e.Endpoint); err != nil {
				return err
			}
			if err := table(w, rows); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "%d errors, %d warnings\n", v.Errors, v.Warnings)
		return err
	}); err != nil {
		return err
	}
	if v.Errors > 0 || strict && v.Warnings > 0 {
		return errSilent
	}
	return nil
}
