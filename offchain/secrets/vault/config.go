package vault

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/hashicorp/vault/api"
)

// Mounts are where deploy/vault puts the engines.
type Mounts struct {
	KV, Transit, PKI string
}

// DefaultMounts are those of deploy/vault.
var DefaultMounts = Mounts{KV: "fog", Transit: "fog-transit", PKI: "fog-pki"}

// DefaultLeases are the credentials that deploy/vault can lend, by the name of the lease.
var DefaultLeases = map[string]string{
	"nomad":    "fog-nomad/creds/dispatcher",
	"postgres": "fog-database/creds/gateway",
}

// Config says where Vault is and who asks. What has a default may be left out.
type Config struct {
	// Address is the URL of the server.
	Address string
	// CACert is a file with the authority of the server's certificate; empty: the system's.
	CACert string
	// ClientCert and ClientKey are files of a client certificate, which login by certificate needs.
	ClientCert, ClientKey string
	// Namespace is for Vault Enterprise and OpenBao.
	Namespace string
	// Role and Name say who the program is, such as oracle and main.
	Role, Name string
	// Login gets tokens.
	Login Login
	// Mounts default to DefaultMounts, Leases to DefaultLeases.
	Mounts Mounts
	Leases map[string]string
	// Timeout is how long one request may take; 10 s.
	Timeout time.Duration
	Log     *slog.Logger
}

// identityForm has no dot: a dot ends a name in the paths of Transit.
var identityForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckIdentity returns an error if no program can have the role or name.
func CheckIdentity(text string) error {
	if !identityForm.MatchString(text) {
		return fmt.Errorf("%.80q; write 1 to 63 of a-z, 0-9 and '-', and begin with a letter or digit", text)
	}
	return nil
}

func (c *Config) validate() error {
	u, err := url.Parse(c.Address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return fmt.Errorf("vault: the address is %q; write it like https://vault.example:8200", c.Address)
	case c.Login == nil:
		return errors.New("vault: no way to log in; give AppRole, a certificate or a JWT")
	case (c.ClientCert == "") != (c.ClientKey == ""):
		return errors.New("vault: a client certificate and its key go together")
	}
	if err := CheckIdentity(c.Role); err != nil {
		return fmt.Errorf("vault: role %w", err)
	}
	if err := CheckIdentity(c.Name); err != nil {
		return fmt.Errorf("vault: name %w", err)
	}
	c.Mounts = Mounts{
		KV: cmp.Or(c.Mounts.KV, DefaultMounts.KV), Transit: cmp.Or(c.Mounts.Transit, DefaultMounts.Transit), PKI: cmp.Or(c.Mounts.PKI, DefaultMounts.PKI),
	}
	if c.Leases == nil {
		c.Leases = DefaultLeases
	}
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	return nil
}

// client makes one without a token. Vault's environment variables count for nothing: one of them turns the check of certificates off.
func (c *Config) client() (*api.Client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CACert != "" {
		raw, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("vault: authority of the server: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("vault: authority of the server: no certificate in %s", c.CACert)
		}
	}
	if c.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("vault: client certificate: %w", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	client, err := api.NewClient(&api.Config{
		Address: c.Address, Timeout: c.Timeout, HttpClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	client.ClearToken()
	client.ClearNamespace()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return client, nil
}
