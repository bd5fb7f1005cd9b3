package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
)

// Names of keys in the homes of a devnet.
const (
	KeyMain      = "main"
	KeyOperator  = "operator"
	KeyFeeder    = "feeder"
	KeyTransport = "transport"
	keyValidator = "validator"
)

// gasPrice that the devnet's validators ask for.
const gasPrice = "0.001ufog"

// create makes homes, keys and genesis.
func (d *Devnet) create(ctx context.Context) error {
	if err := os.MkdirAll(d.opts.Home, 0o700); err != nil {
		return err
	}
	codec, err := chain.NewCodec()
	if err != nil {
		return err
	}
	ports, err := freePorts(4*d.opts.Validators + d.opts.Oracles + 2)
	if err != nil {
		return err
	}
	next := func() string {
		p := ports[0]
		ports = ports[1:]
		return p
	}
	s := State{ChainID: fmt.Sprintf("fog-devnet-%d", time.Now().Unix()), SnapshotInterval: d.opts.SnapshotInterval}
	for i := range d.opts.Validators {
		s.Validators = append(s.Validators, Validator{
			Service: Service{Name: fmt.Sprintf("validator-%d", i), Address: next()}, Home: d.path("validators", strconv.Itoa(i)),
			P2P: next(), GRPC: next(), API: next(),
		})
	}
	s.Registry, s.Gateway = Service{Name: "registry", Address: next()}, d.opts.Gateway
	s.Agent = Service{Name: "agent"}
	base := profile.Profile{
		GRPC: s.Validators[0].GRPC, RPC: "http://" + s.Validators[0].Address, Registry: "http://" + s.Registry.Address,
		Keyring: string(file.Test), Key: KeyMain, GasPrice: gasPrice,
	}
	worker := base // the profile of what has its secrets in Vault, if anything has
	if s.Gateway {
		s.Registry.Name, base.Gateway, s.Machines = "gateway", base.Registry, next()
		worker.Gateway = base.Gateway
		if d.opts.Vault != nil {
			worker.Secrets = profile.SecretsVault
			if err := d.joinAll(ctx, s.ChainID); err != nil {
				return err
			}
		}
		if err := worker.Save(d.GatewayHome()); err != nil {
			return err
		}
	}
	var funds []fund
	for i := range d.opts.Oracles {
		o := Oracle{Service: Service{Name: fmt.Sprintf("oracle-%d", i), Address: next()}, Home: d.path("oracles", strconv.Itoa(i))}
		if o.Operator, err = d.makeHome(ctx, codec, o.Home, base, KeyOperator); err != nil {
			return err
		}
		p := worker
		p.Key, p.Operator = KeyFeeder, o.Operator
		if o.Feeder, err = d.makeHome(ctx, codec, o.Home, p, KeyFeeder); err != nil {
			return err
		}
		s.Oracles = append(s.Oracles, o)
		funds = append(funds, fund{o.Operator, operatorFunds}, fund{o.Feeder, feederFunds})
	}
	if s.Developer, err = d.makeHome(ctx, codec, d.DeveloperHome(), base, KeyMain); err != nil {
		return err
	}
	if s.Provider, err = d.makeHome(ctx, codec, d.ProviderHome(), worker, KeyMain); err != nil {
		return err
	}
	funds = append(funds, fund{s.Developer, userFunds}, fund{s.Provider, userFunds})
	if err := d.makeValidators(ctx, codec, &s, funds); err != nil {
		return err
	}
	d.state = s
	return d.save()
}

// discard removes what a creation that failed has left, so that the next one starts afresh.
func (d *Devnet) discard() error {
	var err error
	for _, part := range []string{"validators", "oracles", "developer", "provider", "gateway", "tls"} {
		err = errors.Join(err, os.RemoveAll(d.path(part)))
	}
	return err
}

// makeHome makes the home of a role with one key and returns its address.
func (d *Devnet) makeHome(ctx context.Context, codec *chain.Codec, home string, p profile.Profile, key string) (address string, err error) {
	if err := p.Save(home); err != nil {
		return "", err
	}
	store, closeStore, err := d.OpenSecrets(ctx, home)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	k, err := d.makeKey(ctx, store, home, key)
	if err != nil {
		return "", err
	}
	if key == KeyFeeder {
		if _, err := secrets.EnsureTransportKey(ctx, store, KeyTransport); err != nil {
			return "", err
		}
	}
	return codec.Accounts().BytesToString(k.PubKey().Address())
}

// makeKey makes a key of an account. Of several oracles with their secrets in Vault, the last one's feeder never leaves it: both ways are there.
func (d *Devnet) makeKey(ctx context.Context, store secrets.Writer, home, key string) (secrets.Key, error) {
	signer, ok := store.(secrets.Signer)
	last := d.opts.Oracles - 1
	if ok && d.opts.Vault != nil && key == KeyFeeder && last > 0 && home == d.path("oracles", strconv.Itoa(last)) {
		return signer.CreateSigningKey(ctx, key)
	}
	k, _, err := store.CreateKey(ctx, key)
	return k, err
}

// makeValidators makes the homes of fogd and one genesis for all.
func (d *Devnet) makeValidators(ctx context.Context, codec *chain.Codec, s *State, funds []fund) error {
	for i := range s.Validators {
		v := &s.Validators[i]
		if _, err := d.run(ctx, d.opts.Fogd, "init", v.Name, "--chain-id", s.ChainID, "--home", v.Home); err != nil {
			return err
		}
		out, err := d.run(ctx, d.opts.Fogd, "keys", "add", keyValidator, "--keyring-backend", "test", "--home", v.Home, "--output", "json")
		if err != nil {
			return err
		}
		var key struct {
			Address string `json:"address"`
		}
		if err := json.Unmarshal(out, &key); err != nil {
			return fmt.Errorf("fogd keys add: %w", err)
		}
		funds = append(funds, fund{key.Address, validatorFunds})
		id, err := d.run(ctx, d.opts.Fogd, "comet", "show-node-id", "--home", v.Home)
		if err != nil {
			return err
		}
		v.NodeID = strings.TrimSpace(string(id))
		if err := loosenPeers(filepath.Join(v.Home, "config", "config.toml")); err != nil {
			return err
		}
	}
	first := s.Validators[0]
	genesis := filepath.Join(first.Home, "config", "genesis.json")
	if err := d.editGenesis(genesis, codec, funds, s.Oracles); err != nil {
		return err
	}
	gentxs := filepath.Join(first.Home, "config", "gentx")
	if err := os.MkdirAll(gentxs, 0o700); err != nil {
		return err
	}
	for i, v := range s.Validators {
		if i > 0 {
			if err := copyFile(genesis, filepath.Join(v.Home, "config", "genesis.json")); err != nil {
				return err
			}
		}
		_, err := d.run(ctx, d.opts.Fogd, "genesis", "gentx", keyValidator, "1000000000000ufog", "--chain-id", s.ChainID,
			"--keyring-backend", "test", "--home", v.Home, "--output-document", filepath.Join(gentxs, v.Name+".json"))
		if err != nil {
			return err
		}
	}
	if _, err := d.run(ctx, d.opts.Fogd, "genesis", "collect-gentxs", "--home", first.Home); err != nil {
		return err
	}
	for _, v := range s.Validators[1:] {
		if err := copyFile(genesis, filepath.Join(v.Home, "config", "genesis.json")); err != nil {
			return err
		}
	}
	return nil
}

// loosenPeers lets several validators share one address of this machine.
func loosenPeers(config string) error {
	raw, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	text := string(raw)
	for _, change := range [][2]string{
		{"addr_book_strict = true", "addr_book_strict = false"},
		{"allow_duplicate_ip = false", "allow_duplicate_ip = true"},
	} {
		if !strings.Contains(text, change[0]) && !strings.Contains(text, change[1]) {
			return errors.New(config + " has no setting " + change[0] + "; fog and fogd are of different versions")
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return os.WriteFile(config, []byte(text), 0o600) //nolint:gosec // the home that the user named
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o600) //nolint:gosec // the home that the user named
}
