// Package profile is what a fog command knows of its user: a home directory with the addresses of the chain and the registry, and the
// secrets of one role (a developer, a provider with an agent, or an oracle).
package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// Profile is the content of config.json in a home directory.
type Profile struct {
	// GRPC (host:port) and RPC (URL) of a node of the chain.
	GRPC string `json:"grpc"`
	RPC  string `json:"rpc"`
	// Registry is the URL of the OCI registry.
	Registry string `json:"registry"`
	// Gateway is the URL of the gateway that issues tokens for the registry; without one the registry takes everybody.
	Gateway string `json:"gateway,omitempty"`
	// Keyring is how the secrets are locked: file (a passphrase) or test (development only).
	Keyring string `json:"keyring"`
	// Secrets is where they are: SecretsFile, which "" means too, or SecretsVault.
	Secrets string `json:"secrets,omitempty"`
	// Key is the name of the account's key.
	Key string `json:"key"`
	// GasPrice per unit of gas, such as 0.001ufog.
	GasPrice string `json:"gas_price"`
	// Operator (fog1…) is the oracle that this home's feeder attests for.
	Operator string `json:"operator,omitempty"`
	// NodeID is the node that this home's agent serves; Boot the boot id that it was registered with, for the agent's next start.
	NodeID string `json:"node_id,omitempty"`
	Boot   string `json:"boot,omitempty"`
}

// Default is the profile of a home that has none: a node and a registry with the usual ports on this machine.
func Default() Profile {
	return Profile{
		GRPC: "127.0.0.1:9090", RPC: "http://127.0.0.1:26657", Registry: "http://127.0.0.1:5000",
		Keyring: string(file.File), Key: "main", GasPrice: "0.001ufog",
	}
}

const fileName = "config.json"

// Places of secrets.
const (
	SecretsFile  = "file"
	SecretsVault = "vault"
)

// VaultFile is the file in a home that says where Vault is.
const VaultFile = "vault.json"

// Load reads the profile of a home; a home without one has the default.
func Load(home string) (Profile, error) {
	p := Default()
	raw, err := os.ReadFile(filepath.Join(home, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("%s: %w; correct or remove it", filepath.Join(home, fileName), err)
	}
	return p, nil
}

// Save writes the profile whole or not at all.
func (p Profile) Save(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(home, fileName), append(raw, '\n'), 0o600)
}

// OpenVault opens the store that a file describes; "" is vault.json in the home.
func (p Profile) OpenVault(home, config string, log *slog.Logger) (*vault.Store, error) {
	if config == "" {
		config = filepath.Join(home, VaultFile)
	}
	cfg, err := vault.ReadConfig(config)
	if err != nil {
		return nil, err
	}
	cfg.Log = log
	return vault.Open(cfg)
}

// OpenSecrets opens the home's store on disk. passphrase is not asked with the test keyring.
func (p Profile) OpenSecrets(home string, passphrase file.Passphrase) (*file.Store, error) {
	return file.Open(filepath.Join(home, "secrets"), file.Backend(p.Keyring), passphrase)
}

// DialChain prepares the connection to the chain.
func (p Profile) DialChain(log *slog.Logger) (*chain.Client, error) {
	return chain.Dial(chain.Config{GRPC: p.GRPC, RPC: p.RPC, Logger: log})
}

// DialRegistry prepares the connection to the registry.
func (p Profile) DialRegistry(opts ...client.Option) (*client.Client, error) {
	return client.New(p.Registry, opts...)
}

// Broadcaster sends transactions that pay the profile's gas price.
func (p Profile) Broadcaster(ctx context.Context, c *chain.Client, store secrets.Store, key string) (*chain.Broadcaster, error) {
	if key == "" {
		key = p.Key
	}
	signer, err := secrets.AnyKey(ctx, store, key)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	price, err := sdk.ParseDecCoin(p.GasPrice)
	if err != nil {
		return nil, fmt.Errorf("gas_price %q: %w; write it like 0.001ufog", p.GasPrice, err)
	}
	return c.NewBroadcaster(signer, chain.BroadcastConfig{GasPrice: price})
}
