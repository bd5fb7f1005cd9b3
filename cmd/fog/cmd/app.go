// Package cmd holds the commands of fog, one file a group. They read flags, call the packages of offchain/, and print; what they do
// not do themselves is in offchain/jobclient.
package cmd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
)

const (
	homeVariable       = "FOG_HOME"
	passphraseVariable = "FOG_PASSPHRASE"
)

// app is what all commands share: the streams, the persistent flags, and the profile with the flags applied. It is filled by cobra's
// persistent pre-run, so commands use it in RunE only.
type app struct {
	stdin          *os.File
	stdout, stderr *os.File

	home           string
	output         string
	logLevel       string
	passphraseFile string
	vaultConfig    string
	quiet          bool
	flags          profile.Profile

	// profile is that of the home, with the flags that were given in place of its values.
	profile    profile.Profile
	log        *slog.Logger
	passphrase file.Passphrase

	secrets secrets.Writer
	closers []io.Closer

	// tls is how gateway and registry are called over https; nil until it is asked for, and then made of the files.
	tls      *tls.Config
	tlsFiles struct{ ca, cert, key string }
}

func newApp() *app {
	return &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, log: slog.Default()}
}

func (a *app) addFlags(f *pflag.FlagSet) {
	d := profile.Default()
	f.StringVar(&a.home, "home", "", "folder of configuration and secrets (default $"+homeVariable+" or ~/.fog)")
	f.StringVar(&a.flags.GRPC, "grpc", d.GRPC, "host:port of a chain node's gRPC")
	f.StringVar(&a.flags.RPC, "rpc", d.RPC, "URL of a chain node's CometBFT RPC")
	f.StringVar(&a.flags.Registry, "registry", d.Registry, "URL of the registry")
	f.StringVar(&a.flags.Gateway, "gateway", d.Gateway, "URL of the gateway whose tokens the registry takes")
	f.StringVar(&a.tlsFiles.ca, "tls-ca", "", "file with the authorities that gateway and registry are to have (default: the system's)")
	f.StringVar(&a.tlsFiles.cert, "tls-cert", "", "file with the certificate to show to gateway and registry; it may be replaced at any time")
	f.StringVar(&a.tlsFiles.key, "tls-key", "", "file with its key")
	f.StringVar(&a.flags.Key, "key", d.Key, "name of the key that signs")
	f.StringVar(&a.flags.Key, "from", d.Key, "the same as --key")
	f.StringVar(&a.flags.Keyring, "keyring", d.Keyring, "how the secrets are locked: file (a passphrase) or test (development only)")
	f.StringVar(&a.flags.Secrets, "secrets", profile.SecretsFile, "where the secrets are: file (in the home) or vault (HashiCorp Vault or OpenBao)")
	f.StringVar(&a.vaultConfig, "vault-config", "", "file that says where Vault is (default: "+profile.VaultFile+" in the home)")
	f.StringVar(&a.flags.GasPrice, "gas-price", d.GasPrice, "price of a unit of gas")
	f.StringVar(&a.passphraseFile, "passphrase-file", "", "file with the passphrase of the secrets (default: $"+passphraseVariable+", or asked for)")
	f.StringVar(&a.output, "output", "text", "text for people, or json: one object on standard output")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&a.quiet, "quiet", false, "no progress and no remarks, only results and errors")
}

// outputsAnnotation of a command names a form of output that it has besides text and json.
const outputsAnnotation = "output"

// prepare reads the profile and applies the flags that were given; more is a form of output besides text and json, if there is one.
func (a *app) prepare(ctx context.Context, f *pflag.FlagSet, more string) error {
	if a.output != "text" && a.output != "json" && (more == "" || a.output != more) {
		if more != "" {
			more = " or " + more
		}
		return usagef("--output is %q; it must be text or json%s", a.output, more)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usagef("--log-level is %q; it must be debug, info, warn or error", a.logLevel)
	}
	a.log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	if a.home == "" {
		if a.home = os.Getenv(homeVariable); a.home == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return fmt.Errorf("no home folder: %w; give --home", err)
			}
			a.home = filepath.Join(user, ".fog")
		}
	}
	p, err := profile.Load(a.home)
	if err != nil {
		return err
	}
	for _, o := range []struct {
		flag     string
		from, to *string
	}{
		{"grpc", &a.flags.GRPC, &p.GRPC}, {"rpc", &a.flags.RPC, &p.RPC}, {"registry", &a.flags.Registry, &p.Registry},
		{"gateway", &a.flags.Gateway, &p.Gateway},
		{"key", &a.flags.Key, &p.Key}, {"from", &a.flags.Key, &p.Key}, {"keyring", &a.flags.Keyring, &p.Keyring},
		{"gas-price", &a.flags.GasPrice, &p.GasPrice}, {"secrets", &a.flags.Secrets, &p.Secrets},
	} {
		if f.Changed(o.flag) {
			*o.to = *o.from
		}
	}
	if p.Keyring != string(file.File) && p.Keyring != string(file.Test) {
		return usagef("the keyring is %q; it must be file or test", p.Keyring)
	}
	if p.Secrets != "" && p.Secrets != profile.SecretsFile && p.Secrets != profile.SecretsVault {
		return usagef("the secrets are in %q; it must be %s or %s", p.Secrets, profile.SecretsFile, profile.SecretsVault)
	}
	a.profile = p
	a.passphrase = a.passphraseSource(ctx)
	return nil
}

// updateProfile changes what is saved in the home; flags of this command are not saved with it.
func (a *app) updateProfile(change func(*profile.Profile)) error {
	p, err := profile.Load(a.home)
	if err != nil {
		return err
	}
	change(&p)
	if err := p.Save(a.home); err != nil {
		return fmt.Errorf("save the profile: %w", err)
	}
	change(&a.profile)
	return nil
}

// json tells whether the result goes to a script.
func (a *app) json() bool { return a.output == "json" }

// print writes the result of a command: v as one JSON object, or what text writes.
func (a *app) print(v any, text func(w io.Writer) error) error {
	if a.json() {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	return text(a.stdout)
}

// say writes a remark for people to standard error.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// terminal tells whether a person watches standard error.
func (a *app) terminal() bool { return !a.quiet && term.IsTerminal(int(a.stderr.Fd())) }

// passphraseSource says where the passphrase of the secrets comes from.
func (a *app) passphraseSource(ctx context.Context) file.Passphrase {
	switch {
	case a.passphraseFile != "":
		return file.FromFile(a.passphraseFile)
	case os.Getenv(passphraseVariable) != "":
		return file.FromEnv(passphraseVariable)
	case term.IsTerminal(int(a.stdin.Fd())):
		prompt := file.Prompt(a.stdin, a.stderr)
		return func(fresh bool) (string, error) {
			return interruptible(ctx, a.stdin, func() (string, error) { return prompt(fresh) })
		}
	}
	return func(bool) (string, error) {
		return "", errors.New("the secrets are locked with a passphrase; give --passphrase-file or $" + passphraseVariable)
	}
}

// interruptible waits for a person's answer or the end of ctx, and then leaves the terminal as it was.
func interruptible(ctx context.Context, terminal *os.File, ask func() (string, error)) (string, error) {
	state, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return "", err
	}
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := ask()
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		return got.text, got.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(int(terminal.Fd()), state))
	}
}

// store opens the secrets of the home, or those in Vault.
func (a *app) store() (secrets.Writer, error) {
	if a.secrets != nil {
		return a.secrets, nil
	}
	if a.profile.Secrets == profile.SecretsVault {
		s, err := a.profile.OpenVault(a.home, a.vaultConfig, a.log)
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, s)
		a.secrets = s
		return s, nil
	}
	s, err := a.profile.OpenSecrets(a.home, a.passphrase)
	if err != nil {
		return nil, err
	}
	a.secrets = s
	return s, nil
}

// dialChain prepares the connection to the chain and does not care whether it is there: for workers that wait for it.
func (a *app) dialChain() (*chain.Client, error) {
	c, err := a.profile.DialChain(a.log)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, c)
	return c, nil
}

// chain connects to the chain, which must answer.
func (a *app) chain(ctx context.Context) (*chain.Client, error) {
	c, err := a.dialChain()
	if err != nil {
		return nil, err
	}
	ask, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errNoAnswer)
	defer cancel()
	if _, err := c.Status(ask); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, noChain(a.profile.RPC, err)
	}
	if _, err := c.Height(ask); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, noChain(a.profile.GRPC, err)
	}
	return c, nil
}

// registry connects to the registry, which must answer.
func (a *app) registry(ctx context.Context) (*client.Client, error) {
	c, err := a.dialRegistry(a.userTokens)
	if err != nil {
		return nil, err
	}
	if err := c.Ping(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, client.ErrDenied) {
			return nil, denied(a.profile, err)
		}
		return nil, noRegistry(a.profile.Registry, err)
	}
	return c, nil
}

// sender signs and sends with a key of the store; "" is the profile's.
func (a *app) sender(ctx context.Context, c *chain.Client, key string) (*chain.Broadcaster, error) {
	s, err := a.store()
	if err != nil {
		return nil, err
	}
	b, err := a.profile.Broadcaster(ctx, c, s, key)
	if err != nil {
		return nil, a.keyError(key, err)
	}
	return b, nil
}

// address is that of a key of the store; "" is the profile's.
func (a *app) address(ctx context.Context, key string) (string, error) {
	if key == "" {
		key = a.profile.Key
	}
	s, err := a.store()
	if err != nil {
		return "", err
	}
	k, err := secrets.AnyKey(ctx, s, key)
	if err != nil {
		return "", a.keyError(key, err)
	}
	return sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, k.PubKey().Address())
}

func (a *app) close() error {
	var err error
	for _, c := range a.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}
