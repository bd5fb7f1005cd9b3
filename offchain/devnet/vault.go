package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	deploy "github.com/foggrid/fogd/deploy/vault"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
)

const (
	secretIDFile = "secret-id"
	// secretIDLife is how long a program may take until it logs in.
	secretIDLife = "10m"
)

// Roles of a devnet's programs in Vault. Their names there hold the chain's id, so that the keys of another devnet are another's.
const (
	roleGateway = "gateway"
	roleOracle  = "oracle"
	roleAgent   = "agent"
)

// setUpVault brings the Vault to what these programs need, as `fog vault apply` does.
func (d *Devnet) setUpVault(ctx context.Context, programs []setup.Program) error {
	client, err := d.opts.Vault.Client()
	if err != nil {
		return err
	}
	plan, err := setup.Make(ctx, client, setup.Input{Files: deploy.Files, Programs: programs, Getenv: os.Getenv})
	if err != nil {
		return err
	}
	if err := plan.Apply(ctx, func(setup.Step) {}); err != nil {
		return err
	}
	d.opts.Step("Vault at %s has what %d programs need", client.Address(), len(programs))
	return nil
}

// joinAll sets the Vault up for all programs of a new devnet and makes their homes such whose secrets are there.
func (d *Devnet) joinAll(ctx context.Context, chainID string) error {
	homes := []string{d.GatewayHome(), d.ProviderHome()}
	programs := []setup.Program{{Role: roleGateway, Name: chainID}, {Role: roleAgent, Name: chainID}}
	for i := range d.opts.Oracles {
		homes = append(homes, d.path("oracles", strconv.Itoa(i)))
		programs = append(programs, setup.Program{Role: roleOracle, Name: oracleName(chainID, i)})
	}
	if err := d.setUpVault(ctx, programs); err != nil {
		return err
	}
	for i, home := range homes {
		if err := d.joinVault(ctx, home, programs[i]); err != nil {
			return err
		}
	}
	return nil
}

func oracleName(chainID string, i int) string { return fmt.Sprintf("%s-%d", chainID, i) }

// joinVault makes a home one whose secrets are in Vault.
func (d *Devnet) joinVault(ctx context.Context, home string, program setup.Program) error {
	client, err := d.opts.Vault.Client()
	if err != nil {
		return err
	}
	id, err := setup.NewSecretID(ctx, client, program, secretIDLife)
	if err != nil {
		return err
	}
	ca := d.opts.Vault.CACert
	if ca != "" {
		if ca, err = filepath.Abs(ca); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(map[string]any{
		"address": client.Address(), "ca_cert": ca, "namespace": client.Namespace(), "role": program.Role, "name": program.Name,
		"login": map[string]any{"method": "approle", "role_id": id.RoleID, "secret_id_file": secretIDFile, "wrapped": true},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(home, profile.VaultFile), append(raw, '\n'), 0o600),
		os.WriteFile(filepath.Join(home, secretIDFile), []byte(id.WrappingToken+"\n"), 0o600),
	)
}

// Login lets the next program that uses a home log in at Vault, once, if that is where the home's secrets are.
func (d *Devnet) Login(ctx context.Context, home string) error {
	p, err := profile.Load(home)
	if err != nil || p.Secrets != profile.SecretsVault {
		return err
	}
	if d.opts.Vault == nil {
		return fmt.Errorf("the secrets of %s are in Vault; give --vault and a token that may make secret ids in $VAULT_TOKEN", home)
	}
	cfg, err := vault.ReadConfig(filepath.Join(home, profile.VaultFile))
	if err != nil {
		return err
	}
	client, err := d.opts.Vault.Client()
	if err != nil {
		return err
	}
	id, err := setup.NewSecretID(ctx, client, setup.Program{Role: cfg.Role, Name: cfg.Name}, secretIDLife)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home, secretIDFile), []byte(id.WrappingToken+"\n"), 0o600)
}

// OpenSecrets opens the secrets of a home, wherever they are. The caller closes them.
func (d *Devnet) OpenSecrets(ctx context.Context, home string) (store secrets.Writer, closeStore func() error, err error) {
	p, err := profile.Load(home)
	if err != nil {
		return nil, nil, err
	}
	if p.Secrets != profile.SecretsVault {
		store, err := p.OpenSecrets(home, nil)
		return store, func() error { return nil }, err
	}
	if err := d.Login(ctx, home); err != nil {
		return nil, nil, err
	}
	s, err := p.OpenVault(home, "", d.log)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
