package setup

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// Admin says where the Vault is and with which token it is set up.
type Admin struct {
	// Address, CACert and Token may be empty: then Vault's own variables count, VAULT_ADDR, VAULT_CACERT and VAULT_TOKEN.
	Address, CACert, Namespace, Token string
}

// Client connects an administrator. Unlike the programs, who sets up a Vault has the environment of Vault's tools.
func (a Admin) Client() (*api.Client, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, cfg.Error
	}
	if a.Address != "" {
		cfg.Address = a.Address
	}
	if a.CACert != "" {
		if err := cfg.ConfigureTLS(&api.TLSConfig{CACert: a.CACert}); err != nil {
			return nil, fmt.Errorf("authority of the server: %w", err)
		}
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	if a.Token != "" {
		c.SetToken(a.Token)
	}
	if c.Token() == "" {
		return nil, errors.New("no token; set $VAULT_TOKEN to one that may set up the Vault, or name a file with it")
	}
	if a.Namespace != "" {
		c.SetNamespace(a.Namespace)
	}
	return c, nil
}

// SecretID is what a program logs in with once.
type SecretID struct {
	RoleID string `json:"role_id"`
	// WrappingToken is traded for the secret id by the program itself, once, within TTL seconds.
	WrappingToken string `json:"wrapping_token"`
	TTL           int    `json:"ttl"`
}

// NewSecretID makes a secret id of a program. Only the wrapping token leaves Vault.
func NewSecretID(ctx context.Context, c *api.Client, p Program, ttl string) (SecretID, error) {
	path := "auth/approle/role/" + p.ID()
	id, err := c.Logical().ReadWithContext(ctx, path+"/role-id")
	if err != nil {
		return SecretID{}, fmt.Errorf("role %s: %w", p.ID(), vault.Brief(err))
	}
	if id == nil {
		return SecretID{}, fmt.Errorf("there is no role %s; make it with fog vault apply", p.ID())
	}
	wrapping, err := c.Clone()
	if err != nil {
		return SecretID{}, err
	}
	wrapping.SetToken(c.Token())
	wrapping.SetNamespace(c.Namespace())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return ttl })
	secret, err := wrapping.Logical().WriteWithContext(ctx, path+"/secret-id", nil)
	if err != nil {
		return SecretID{}, fmt.Errorf("secret id of %s: %w", p.ID(), vault.Brief(err))
	}
	if secret == nil || secret.WrapInfo == nil {
		return SecretID{}, errors.New("the answer was not wrapped; does something between here and Vault drop the header X-Vault-Wrap-TTL?")
	}
	role, _ := id.Data["role_id"].(string)
	return SecretID{RoleID: role, WrappingToken: secret.WrapInfo.Token, TTL: secret.WrapInfo.TTL}, nil
}
