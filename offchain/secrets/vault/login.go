package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Login gets a token. It is asked again whenever the last one has ended.
type Login interface {
	// Login returns the answer with the token.
	Login(ctx context.Context, c *api.Client) (*api.Secret, error)
	// String says in a log by what it logs in.
	String() string
}

// AppRole logs in with a role id and a secret id.
type AppRole struct {
	// RoleID is no secret. SecretIDFile is read at each login.
	RoleID, SecretIDFile string
	// Wrapped says that the file holds a wrapping token, which gives the secret id once. A later login needs a new one in the file.
	Wrapped bool
	// Mount is "approle" if empty.
	Mount string
}

// String implements Login.
func (a AppRole) String() string { return "AppRole" }

// Login implements Login.
func (a AppRole) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	secretID, err := readToken(a.SecretIDFile, "secret id")
	if err != nil {
		return nil, err
	}
	if a.Wrapped {
		if secretID, err = unwrap(ctx, c, secretID, a.SecretIDFile); err != nil {
			return nil, err
		}
	}
	return write(ctx, c, "auth/"+orDefault(a.Mount, "approle")+"/login", map[string]any{"role_id": a.RoleID, "secret_id": secretID})
}

// unwrap trades a wrapping token for the secret id. A token that was used already may have been used by a thief.
func unwrap(ctx context.Context, c *api.Client, token, file string) (string, error) {
	secret, err := c.Logical().UnwrapWithContext(ctx, token)
	var answer *api.ResponseError
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusForbidden) {
		return "", fmt.Errorf("the wrapping token in %s was used before or has run out; if this program did not use it, somebody else has the secret id: "+
			"destroy it, and put a new wrapped one into the file: %w", file, err)
	}
	if err != nil {
		return "", err
	}
	if secret != nil {
		if id, ok := secret.Data["secret_id"].(string); ok && id != "" {
			return id, nil
		}
	}
	return "", fmt.Errorf("the wrapping token in %s wraps no secret id; make one with -wrap-ttl", file)
}

// Certificate logs in with the client certificate of the Config.
type Certificate struct {
	// Role is one of the cert method's; empty: any that fits.
	Role string
	// Mount is "cert" if empty.
	Mount string
}

// String implements Login.
func (l Certificate) String() string { return "TLS certificate" }

// Login implements Login.
func (l Certificate) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	data := map[string]any{}
	if l.Role != "" {
		data["name"] = l.Role
	}
	return write(ctx, c, "auth/"+orDefault(l.Mount, "cert")+"/login", data)
}

// JWT logs in with the identity that a platform gives a workload, such as Nomad or Kubernetes.
type JWT struct {
	Role string
	// File is read at each login: the platform keeps it fresh.
	File string
	// Mount is "jwt" if empty.
	Mount string
}

// String implements Login.
func (l JWT) String() string { return "JWT" }

// Login implements Login.
func (l JWT) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	token, err := readToken(l.File, "workload identity")
	if err != nil {
		return nil, err
	}
	return write(ctx, c, "auth/"+orDefault(l.Mount, "jwt")+"/login", map[string]any{"role": l.Role, "jwt": token})
}

func write(ctx context.Context, c *api.Client, path string, data map[string]any) (*api.Secret, error) {
	secret, err := c.Logical().WriteWithContext(ctx, path, data)
	if err != nil {
		return nil, err
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, fmt.Errorf("%s gave no token; is something else than an auth method mounted there?", path)
	}
	return secret, nil
}

func readToken(file, what string) (string, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the path of the configuration
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", fmt.Errorf("%s: the file %s is empty", what, file)
	}
	return text, nil
}

func orDefault(mount, fallback string) string {
	if mount = strings.Trim(mount, "/"); mount != "" {
		return mount
	}
	return fallback
}
