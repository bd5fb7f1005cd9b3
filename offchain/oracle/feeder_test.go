package oracle

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// named answers which feeder the operator has named.
type named struct {
	oracletypes.UnimplementedQueryServer
	feeder atomic.Value
}

func (n *named) Oracle(context.Context, *oracletypes.QueryOracleRequest) (*oracletypes.QueryOracleResponse, error) {
	address, _ := n.feeder.Load().(string)
	return &oracletypes.QueryOracleResponse{Oracle: oracletypes.Oracle{Feeder: address}}, nil
}

func address(t *testing.T, key secrets.Key) string {
	t.Helper()
	text, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, key.PubKey().Address())
	require.NoError(t, err)
	return text
}

func TestFeederFollowsTheChain(t *testing.T) {
	store, err := file.Open(filepath.Join(t.TempDir(), "secrets"), file.Test, nil)
	require.NoError(t, err)
	first, _, err := store.CreateKey(t.Context(), "feeder")
	require.NoError(t, err)
	second, err := store.CreateSigningKey(t.Context(), "feeder.2")
	require.NoError(t, err)

	record := &named{}
	node := chaintest.Start(t, func(s *grpc.Server) { oracletypes.RegisterQueryServer(s, record) })
	looked := 0
	f, err := newFeeder(Config{
		Chain: node.Client(), Operator: "fog1operator", Feeder: first, Log: slog.New(slog.DiscardHandler),
		FindFeeder: func(_ context.Context, wanted string) (chain.Signer, error) {
			looked++
			if wanted != address(t, second) {
				return nil, fmt.Errorf("%s: %w", wanted, secrets.ErrNotFound)
			}
			return second, nil
		},
	})
	require.NoError(t, err)
	require.Equal(t, address(t, first), f.now(t.Context()).Address(), "nobody is named yet")
	record.feeder.Store(address(t, first))
	require.Equal(t, address(t, first), f.now(t.Context()).Address())
	require.Zero(t, looked)

	record.feeder.Store("fog1somebodyelse")
	require.Equal(t, address(t, first), f.now(t.Context()).Address(), "without the key there is nothing better")
	record.feeder.Store(address(t, second))
	require.Equal(t, address(t, second), f.now(t.Context()).Address(), "a key of another kind will do")
	before := looked
	require.Equal(t, address(t, second), f.now(t.Context()).Address())
	require.Equal(t, before, looked)

	node.Stop()
	require.Equal(t, address(t, second), f.now(t.Context()).Address(), "the chain is away, the last word counts")
}
