package cmd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"

	"github.com/cosmos/cosmos-sdk/server/config"

	"github.com/foggrid/fogd/app"
)

const (
	// timeoutCommit and the time that a round of votes takes make the block time of about a second. It must not be exactly one
	// second: the SDK takes CometBFT's default for "not set" and makes five of it.
	timeoutCommit = 900 * time.Millisecond

	// A proposer that is down costs the chain this much.
	timeoutPropose = 2 * time.Second

	// maxBodyBytes lets a transaction of the size of the mempool's limit pass through JSON-RPC, where it is base64.
	maxBodyBytes = 6 << 20

	// snapshotInterval is how many blocks lie between two snapshots for state sync: about half an hour.
	snapshotInterval = 2000

	// queryGasLimit bounds what one query may read: some hundred thousand records.
	queryGasLimit = 1_000_000_000
)

// cometConfig is the configuration that a new node's config.toml is written from.
func cometConfig() *cmtcfg.Config {
	cfg := cmtcfg.DefaultConfig()
	cfg.Consensus.TimeoutCommit = timeoutCommit
	cfg.Consensus.TimeoutPropose = timeoutPropose
	cfg.RPC.MaxBodyBytes = maxBodyBytes
	cfg.Mempool.MaxTxBytes = app.MaxBlockBytes / 2

	return cfg
}

// appConfig is the configuration that a new node's app.toml is written from.
func appConfig() *config.Config {
	cfg := config.DefaultConfig()
	cfg.MinGasPrices = app.DefaultMinGasPrices
	cfg.QueryGasLimit = queryGasLimit
	cfg.API.Enable = true
	cfg.API.Swagger = true
	cfg.StateSync.SnapshotInterval = snapshotInterval
	// The trees have a cache of their own. A second one above them costs each write more than it saves a read.
	cfg.InterBlockCache = false

	return cfg
}

// ensureAppConfig writes the app.toml of a new node. The SDK would write it too, but with the defaults of the flags of whatever
// command comes first: after `fogd start` in an empty folder the minimal gas price would be empty.
func ensureAppConfig(home string) error {
	file := filepath.Join(home, "config", "app.toml")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	config.SetConfigTemplate(config.DefaultConfigTemplate)
	config.WriteConfigFile(file, appConfig())

	return nil
}
