package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

// loanTime is how long a node waits for one answer.
const loanTime = 15 * time.Second

// OpenLoan unwraps a loan of LendJobSecrets and returns the values of the owner's paths, in their order. It needs no login: the wrapping
// tokens are the right to do so, once. One that is not what Vault wrapped for such a path is not opened.
func OpenLoan(ctx context.Context, l secrets.Loan, owner string, paths []string) ([][]byte, error) {
	if len(l.Wrapped) != len(paths) {
		return nil, fmt.Errorf("%w: it has %d of %d secrets", secrets.ErrNoLoan, len(l.Wrapped), len(paths))
	}
	client, err := loanClient(l)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(paths))
	for i, token := range l.Wrapped {
		if values[i], err = openWrapped(ctx, client, token, "/data/"+jobPath(owner, paths[i])); err != nil {
			return nil, fmt.Errorf("secret %q: %w", paths[i], explain("open the loan", err))
		}
	}
	return values, nil
}

func loanClient(l secrets.Loan) (*api.Client, error) {
	u, err := url.Parse(l.Vault)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("the gateway says that Vault is at %.200q, which is no URL; tell its operator", l.Vault)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("the gateway says that Vault is at %s, where secrets would go in the clear; its operator must name an https address", l.Vault)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if l.CA != "" {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(l.CA)) {
			return nil, errors.New("the gateway names no authority of Vault that can be read; tell its operator")
		}
	}
	c, err := api.NewClient(&api.Config{Address: l.Vault, Timeout: loanTime, MaxRetries: 2, HttpClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, err
	}
	c.ClearToken()
	c.ClearNamespace()
	if l.Namespace != "" {
		c.SetNamespace(l.Namespace)
	}
	return c, nil
}

func isLoopback(host string) bool {
	at, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && at.Unmap().IsLoopback()
}

// openWrapped looks first at what was wrapped: whoever has opened a wrapping on its way can only wrap what they like by another path.
func openWrapped(ctx context.Context, c *api.Client, token, path string) ([]byte, error) {
	about, err := c.Logical().WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": token})
	if isVoid(err) || err == nil && about == nil {
		return nil, secrets.ErrNoLoan
	}
	if err != nil {
		return nil, err
	}
	if made, _ := about.Data["creation_path"].(string); !strings.HasSuffix(made, path) {
		return nil, fmt.Errorf("%w: it was made at %.200q", secrets.ErrNoLoan, made)
	}
	c.ClearToken() // the client takes the wrapping token for its own
	secret, err := c.Logical().UnwrapWithContext(ctx, token)
	if isVoid(err) || err == nil && secret == nil {
		return nil, secrets.ErrNoLoan
	}
	if err != nil {
		return nil, err
	}
	data, _ := secret.Data["data"].(map[string]any)
	text, ok := data[fieldValue].(string)
	if !ok {
		return nil, errors.New("what is in it is none of fog's secrets; write it again with `fog secret put`")
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("what is in it is not in base64; write it again with `fog secret put`")
	}
	return value, nil
}

// isVoid tells that Vault does not know the wrapping token, or not any more.
func isVoid(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusNotFound)
}
