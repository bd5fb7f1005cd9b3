package cmd

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// gatewayTokenVariable holds a token for CI, in place of a login.
const gatewayTokenVariable = "FOG_GATEWAY_TOKEN"

// loginFile holds the login of a home; who can read it can act as its owner until it expires.
const loginFile = "gateway-login.json"

// login is what is kept of one.
type login struct {
	Gateway string    `json:"gateway"`
	Address string    `json:"address"`
	Secret  string    `json:"secret"`
	Expires time.Time `json:"expires"`
}

func (a *app) loginPath() string { return filepath.Join(a.home, loginFile) }

func (a *app) saveLogin(l login) error {
	raw, err := json.MarshalIndent(l, "", "  ") //nolint:gosec // the file is the login; only its owner can read it
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.home, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(a.home, ".login-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(raw, '\n'))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), a.loginPath())
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// gatewayToken is the token of the environment or of the last login at the profile's gateway.
func (a *app) gatewayToken() (string, error) {
	if token := os.Getenv(gatewayTokenVariable); token != "" {
		return token, nil
	}
	l, err := a.loadLogin()
	return l.Secret, err
}

func (a *app) loadLogin() (login, error) {
	var l login
	raw, err := os.ReadFile(a.loginPath())
	if errors.Is(err, fs.ErrNotExist) {
		return l, hint(errors.New("nobody is logged in at the gateway"), "log in with `fog gateway login`, or give a token in $%s", gatewayTokenVariable)
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, hint(fmt.Errorf("%s: %w", a.loginPath(), err), "log in again with `fog gateway login`")
	}
	switch {
	case l.Gateway != a.profile.Gateway:
		return l, hint(fmt.Errorf("the login in %s is for %s", a.home, l.Gateway), "log in with `fog gateway login --gateway %s`", a.profile.Gateway)
	case !time.Now().Before(l.Expires):
		return l, hint(errors.New("the login at the gateway has expired"), "log in again with `fog gateway login`")
	}
	return l, nil
}

// gateway connects to the profile's gateway.
func (a *app) gateway() (*gwclient.Client, error) {
	if a.profile.Gateway == "" {
		return nil, hint(errors.New("no gateway is known here"), "give --gateway URL, or log in with `fog gateway login --gateway URL`")
	}
	config, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	return gwclient.New(a.profile.Gateway, config)
}

// call asks the gateway with this home's token.
func (a *app) call(ctx context.Context, method, path string, in, out any) error {
	g, err := a.gateway()
	if err != nil {
		return err
	}
	token, err := a.gatewayToken()
	if err != nil {
		return err
	}
	return g.Call(ctx, token, method, path, in, out)
}

// tokensOf makes a source of registry tokens at a gateway.
type tokensOf func(*gwclient.Client) (client.TokenSource, error)

// dialRegistry prepares the connection to the registry: with tokens if the profile has a gateway, and as ever if not.
func (a *app) dialRegistry(tokens tokensOf) (*client.Client, error) {
	config, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	web := client.WithHTTPClient(&http.Client{Transport: gwclient.Transport(config)})
	if a.profile.Gateway == "" {
		return a.profile.DialRegistry(web)
	}
	g, err := a.gateway()
	if err != nil {
		return nil, err
	}
	source, err := tokens(g)
	if err != nil {
		return nil, err
	}
	return a.profile.DialRegistry(web, client.WithOwnedRepos(), client.WithTokens(source))
}

func (a *app) userTokens(g *gwclient.Client) (client.TokenSource, error) {
	token, err := a.gatewayToken()
	if err != nil {
		return nil, err
	}
	return g.Fixed(token), nil
}

// nodeTokens log a node in by the key of its agent.
func (a *app) nodeTokens(g *gwclient.Client, node string, key ed25519.PrivateKey) (*gwclient.Tokens, error) {
	if node == "" {
		return nil, hint(errors.New("at a gateway a node logs in by its id, and none is known here"), "give --node node1…")
	}
	return g.OfNode(node, key), nil
}

// oracleTokens log an oracle in by its feeder's key.
func (a *app) oracleTokens(g *gwclient.Client, feeder chain.Signer) *gwclient.Tokens {
	return g.OfWallet(feeder, []string{access.Oracle})
}

// contentOwner is below whose name content is pushed: nobody's without a gateway.
func (a *app) contentOwner(ctx context.Context) (string, error) {
	if a.profile.Gateway == "" {
		return "", nil
	}
	if os.Getenv(gatewayTokenVariable) == "" {
		l, err := a.loadLogin()
		return l.Address, err
	}
	var who gateway.Who
	err := a.call(ctx, "GET", "/v1/whoami", nil, &who)
	return who.Token.Address, err
}

// checkOwner refuses to submit a job by one key whose content another one's token pushes: its nodes would not find it.
func (a *app) checkOwner(ctx context.Context, sender string) error {
	owner, err := a.contentOwner(ctx)
	if err != nil || owner == "" || owner == sender {
		return err
	}
	return hint(fmt.Errorf("the gateway knows you as %s, and the job would be %s's", owner, sender), "log in with the key that signs: `fog gateway login --key %s`", a.profile.Key)
}
