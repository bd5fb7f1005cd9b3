package chain

import (
	"context"
	"errors"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
)

func TestStatusAndHeights(t *testing.T) {
	n, _ := newFakeNode(t)
	n.commit(9)
	c, ctx := n.client(Config{}), testContext(t)

	id, err := c.ChainID(ctx)
	require.NoError(t, err)
	require.Equal(t, fakeChainID, id)

	n.set(func() { n.hidden = true })
	h, err := c.Height(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 9, h, "the state of block 10 is not there yet")
	n.set(func() { n.hidden = false })

	hash, err := c.BlockHash(ctx, 4)
	require.NoError(t, err)
	require.EqualValues(t, n.blocks[3].block.Hash(), hash)

	_, err = c.BlockHash(ctx, 11)
	require.ErrorIs(t, err, ErrFutureHeight)
	n.set(func() { n.earliest = 5 })
	_, err = c.BlockHash(ctx, 4)
	require.ErrorIs(t, err, ErrPruned)

	time.AfterFunc(50*time.Millisecond, func() { n.commit(3) })
	h, err = c.WaitForHeight(ctx, 12)
	require.NoError(t, err)
	require.EqualValues(t, 13, h)
}

func TestQueryErrors(t *testing.T) {
	n, _ := newFakeNode(t)
	ctx := testContext(t)
	c := n.client(Config{})
	auth := authtypes.NewQueryClient(c.Latest())

	_, err := auth.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: "fog1nobody"})
	require.ErrorIs(t, err, ErrNotFound)
	require.NotErrorIs(t, err, ErrUnavailable)
	var q *QueryError
	require.ErrorAs(t, err, &q)
	require.Equal(t, "/cosmos.auth.v1beta1.Query/AccountInfo", q.Method)

	n.set(func() { n.noHeader = true })
	res, err := auth.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: n.addr})
	require.NoError(t, err, "asked again with the height written out")
	require.EqualValues(t, 7, res.Info.Sequence)

	n.stop()
	_, err = auth.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: n.addr})
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = c.Status(ctx)
	require.ErrorIs(t, err, ErrUnavailable)

	patient := authtypes.NewQueryClient(n.client(Config{Patience: time.Minute}).Latest())
	time.AfterFunc(200*time.Millisecond, n.start)
	res, err = patient.AccountInfo(ctx, &authtypes.QueryAccountInfoRequest{Address: n.addr})
	require.NoError(t, err, "a patient client waits out the outage")
	require.EqualValues(t, 7, res.Info.Sequence)
}

func TestFollow(t *testing.T) {
	n, _ := newFakeNode(t)
	n.commit(20)
	c := n.client(Config{})
	ctx, cancel := context.WithCancelCause(testContext(t))
	enough := errors.New("enough")

	var heights []int64
	go func() {
		time.Sleep(50 * time.Millisecond)
		n.stop()
		time.Sleep(50 * time.Millisecond)
		n.commit(15) // the chain went on while we could not see it
		n.start()
		for range 10 {
			time.Sleep(5 * time.Millisecond)
			n.commit(1)
		}
	}()
	err := c.Follow(ctx, 5, func(_ context.Context, b Block) error {
		heights = append(heights, b.Height)
		want := n.blocks[b.Height-1]
		require.EqualValues(t, want.block.Hash(), b.Hash)
		require.Equal(t, want.block.Time, b.Time)
		require.Equal(t, want.results.FinalizeBlockEvents, b.Events)
		if b.Height == 45 {
			cancel(enough)
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Len(t, heights, 41)
	for i, h := range heights {
		require.EqualValues(t, 5+i, h, "each height once and in order")
	}
}

func TestFollowEnds(t *testing.T) {
	n, _ := newFakeNode(t)
	n.commit(20)
	c, ctx := n.client(Config{}), testContext(t)

	stop := errors.New("stop")
	require.ErrorIs(t, c.Follow(ctx, 3, func(context.Context, Block) error { return stop }), stop)

	n.set(func() { n.earliest = 10 })
	err := c.Follow(ctx, 3, func(context.Context, Block) error { return nil })
	require.ErrorIs(t, err, ErrPruned)

	n.set(func() { n.blocks[15].block.LastBlockID.Hash = make([]byte, 32) })
	last := int64(0)
	err = c.Follow(ctx, 12, func(_ context.Context, b Block) error { last = b.Height; return nil })
	require.ErrorIs(t, err, ErrOtherChain)
	require.EqualValues(t, 15, last)

	var first int64
	time.AfterFunc(50*time.Millisecond, func() { n.commit(1) })
	err = c.Follow(ctx, 0, func(_ context.Context, b Block) error { first = b.Height; return stop })
	require.ErrorIs(t, err, stop)
	require.EqualValues(t, 22, first, "below 1: from the next block")
}

func TestPages(t *testing.T) {
	const total = 1207
	call := func(_ context.Context, p *query.PageRequest) (*banktypes.QueryAllBalancesResponse, error) {
		from := 0
		for _, b := range p.Key {
			from = from<<8 | int(b)
		}
		res := &banktypes.QueryAllBalancesResponse{Pagination: &query.PageResponse{}}
		for i := from; i < min(total, from+int(p.Limit)); i++ {
			res.Balances = append(res.Balances, sdk.NewInt64Coin("ufog", int64(i)))
		}
		if next := from + int(p.Limit); next < total {
			res.Pagination.NextKey = []byte{byte(next >> 8), byte(next)}
		}
		return res, nil
	}
	items := func(r *banktypes.QueryAllBalancesResponse) []sdk.Coin { return r.Balances }
	coins, err := Collect(context.Background(), call, items)
	require.NoError(t, err)
	require.Len(t, coins, total)
	for i, c := range coins {
		require.EqualValues(t, i, c.Amount.Int64())
	}

	stuck := func(context.Context, *query.PageRequest) (*banktypes.QueryAllBalancesResponse, error) {
		return &banktypes.QueryAllBalancesResponse{Pagination: &query.PageResponse{NextKey: []byte{1}}}, nil
	}
	_, err = Collect(context.Background(), stuck, items)
	require.Error(t, err, "a node that repeats a page does not make an endless walk")

	broken := func(context.Context, *query.PageRequest) (*banktypes.QueryAllBalancesResponse, error) {
		return nil, ErrNotFound
	}
	_, err = Collect(context.Background(), broken, items)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestEventsOf(t *testing.T) {
	send, err := sdk.TypedEventToEvent(&banktypes.MsgSend{FromAddress: "a", ToAddress: "b", Amount: sdk.NewCoins(sdk.NewInt64Coin("ufog", 5))})
	require.NoError(t, err)
	inTx := abci.Event(send)
	inTx.Attributes = append(inTx.Attributes, abci.EventAttribute{Key: "msg_index", Value: "0"})
	inBlock := abci.Event(send)
	inBlock.Attributes = append(inBlock.Attributes, abci.EventAttribute{Key: "mode", Value: "EndBlock"})

	got, err := EventsOf[*banktypes.MsgSend]([]abci.Event{{Type: "transfer"}, inTx, inBlock})
	require.NoError(t, err)
	require.Len(t, got, 2)
	for _, e := range got {
		require.Equal(t, "a", e.FromAddress)
		require.Equal(t, "5ufog", e.Amount.String())
	}
}
