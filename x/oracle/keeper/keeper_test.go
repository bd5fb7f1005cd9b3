package keeper_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/testutil/testdata"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/oracle/keeper"
	"github.com/foggrid/fogd/x/oracle/types"
)

// chain is a fixture with the module, n bonded oracles and reports that a test server executes.
type chain struct {
	*fixture.Env
	k       keeper.Keeper
	msgs    types.MsgServer
	queries types.QueryServer
	farm    *farm
	n       int
}

// farm executes the test's reports. Each takes one ufog of the reporter first, so that what a failed report did would show.
type farm struct {
	bank     bankkeeper.BaseKeeper
	k        *keeper.Keeper
	reporter sdk.AccAddress
	last     *testdata.MsgCreateDog
}

// kennel receives one ufog an execution.
var kennel = fixture.Address("kennel")

var errReport = errors.New("the report does not like it")

func (f *farm) CreateDog(ctx context.Context, msg *testdata.MsgCreateDog) (*testdata.MsgCreateDogResponse, error) {
	f.last = msg
	if err := f.bank.SendCoins(ctx, f.reporter, kennel, sdk.NewCoins(escrowtypes.Coin(1))); err != nil {
		return nil, err
	}
	order, argument, _ := strings.Cut(msg.Dog.Name, ":")
	switch order {
	case "fail":
		return nil, errReport
	case "refuse":
		return nil, types.ErrInvalidField.Wrap("of this kind")
	case "panic":
		panic("in the report")
	case "gas":
		for {
			sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(10_000, "work")
		}
	case "cancel":
		return &testdata.MsgCreateDogResponse{}, f.k.CancelRounds(ctx, types.KindOutcome, []byte(argument))
	case "again":
		now := sdk.UnwrapSDKContext(ctx).BlockTime().Unix()
		_, err := f.k.OpenRound(ctx, types.KindOutcome, []byte(argument), now+60, now+60)
		return &testdata.MsgCreateDogResponse{}, err
	}
	return &testdata.MsgCreateDogResponse{Name: msg.Dog.Name}, nil
}

var errBody = errors.New("the body does not like it")

func validateBody(_, body []byte) error {
	if len(body) == 0 || strings.HasPrefix(string(body), "bad") {
		return errBody
	}
	return nil
}

// buildReport of a claim round is the body; that of a merge round is the bodies in order of their voters.
func buildReport(authority string, result types.RoundResult) (sdk.Msg, error) {
	name := string(result.Body)
	if name == "unbuildable" {
		return nil, errBody
	}
	if result.Votes != nil {
		bodies := make([]string, len(result.Votes))
		for i, v := range result.Votes {
			bodies[i] = string(v.Body)
		}
		name = strings.Join(bodies, ",")
	}
	size := fmt.Sprintf("meter %d, voters %d, quorum %d, subject %s", result.Meter, len(result.Voters), result.Quorum, result.Subject)
	return &testdata.MsgCreateDog{Dog: &testdata.Dog{Name: name, Size_: size}, Owner: authority}, nil
}

func reports() map[string]types.ReportType {
	claim := types.ReportType{Rule: types.ROUND_RULE_CLAIM, ValidateBody: validateBody, BuildMsg: buildReport}
	proposed := claim
	proposed.ProposerOnly = true
	merge := types.ReportType{Rule: types.ROUND_RULE_MERGE, ValidateBody: validateBody, BuildMsg: buildReport}
	return map[string]types.ReportType{
		types.KindOutcome: claim, types.KindMatches: proposed, types.KindLiveness: merge,
		"orphan": {Rule: types.ROUND_RULE_CLAIM, ValidateBody: validateBody, BuildMsg: func(string, types.RoundResult) (sdk.Msg, error) {
			return &types.MsgBond{}, nil // nobody serves it in this chain
		}},
	}
}

// empty is a chain without oracles.
func empty(tb fixture.TB, change ...func(*types.Params)) *chain {
	tb.Helper()
	e := fixture.New(tb, fixture.WithStores(types.StoreKey), fixture.WithObjectStores(types.ObjectStoreKey))
	c := bare(tb, e)
	g := types.DefaultGenesis()
	for _, f := range change {
		f(&g.Params)
	}
	if err := c.k.InitGenesis(e.Ctx, *g); err != nil {
		tb.Fatalf("genesis: %v", err)
	}
	rich := fixture.Address("rich")
	e.Fund(rich, 1_000_000)
	if err := e.Bank.SendCoins(e.Ctx, rich, c.farm.reporter, sdk.NewCoins(escrowtypes.Coin(1_000_000))); err != nil {
		tb.Fatalf("fund the reporter: %v", err)
	}
	return c
}

// bare is the module over a fixture, before genesis.
func bare(tb fixture.TB, e *fixture.Env) *chain {
	tb.Helper()
	testdata.RegisterInterfaces(e.Registry)
	router := baseapp.NewMsgServiceRouter()
	router.SetInterfaceRegistry(e.Registry)
	c := &chain{Env: e, farm: &farm{bank: e.Bank, reporter: authtypes.NewModuleAddress(types.ModuleName)}}
	testdata.RegisterMsgServer(router, c.farm)
	c.k = keeper.NewKeeper(e.Codec, e.StoreService(types.StoreKey), e.ObjectStoreKey(types.ObjectStoreKey), e.Addresses, e.Escrow,
		router, reports(), e.Authority)
	c.farm.k = &c.k
	c.msgs, c.queries = keeper.NewMsgServer(c.k), keeper.NewQueryServer(c.k)
	e.OnEndBlock(c.k.EndBlocker)
	return c
}

// withOracles is a chain with n active oracles in set 1.
func withOracles(tb fixture.TB, n int, change ...func(*types.Params)) *chain {
	tb.Helper()
	c := empty(tb, change...)
	for range n {
		c.addOracle(tb)
	}
	c.NextBlock()
	return c
}

func operator(i int) sdk.AccAddress { return fixture.Address(fmt.Sprintf("operator-%d", i)) }
func feeder(i int) sdk.AccAddress   { return fixture.Address(fmt.Sprintf("feeder-%d", i)) }

// addOracle admits, bonds and equips the next oracle.
func (c *chain) addOracle(tb fixture.TB) {
	tb.Helper()
	i := c.n
	c.n++
	p, err := c.k.Params.Get(c.Ctx)
	must(tb, err)
	c.Fund(operator(i), 2*p.MinBond)
	must(tb, c.Tx(func(ctx sdk.Context) error {
		if _, err := c.msgs.AdmitOracle(ctx, &types.MsgAdmitOracle{Authority: c.Authority, Operator: c.Text(operator(i))}); err != nil {
			return err
		}
		if _, err := c.msgs.Bond(ctx, &types.MsgBond{Operator: c.Text(operator(i)), Amount: escrowtypes.Coin(p.MinBond)}); err != nil {
			return err
		}
		_, err := c.msgs.SetFeeder(ctx, &types.MsgSetFeeder{Operator: c.Text(operator(i)), Feeder: c.Text(feeder(i))})
		return err
	}))
}

func must(tb fixture.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%v", err)
	}
}

// open asks about a subject for the given seconds, once.
func (c *chain) open(tb fixture.TB, kind, subject string, seconds int64) uint64 {
	tb.Helper()
	now := c.Ctx.BlockTime().Unix()
	id, err := c.k.OpenRound(c.Ctx, kind, []byte(subject), now+seconds, now+seconds)
	must(tb, err)
	return id
}

// attest casts votes as oracle i in a transaction of its own.
func (c *chain) attest(i int, votes ...types.Vote) (resp *types.MsgAttestResponse, err error) {
	err = c.Tx(func(ctx sdk.Context) error {
		resp, err = c.msgs.Attest(ctx, &types.MsgAttest{Feeder: c.Text(feeder(i)), Votes: votes})
		return err
	})
	return resp, err
}

// vote casts votes that must all be taken.
func (c *chain) vote(tb fixture.TB, i int, votes ...types.Vote) {
	tb.Helper()
	resp, err := c.attest(i, votes...)
	must(tb, err)
	if len(resp.Refused) > 0 {
		tb.Fatalf("refused: %v", resp.Refused)
	}
}

// claim is a vote for the hash of body, with the body.
func claim(round uint64, body string, meter uint64) types.Vote {
	sum := sha256.Sum256([]byte(body))
	return types.Vote{RoundId: round, Claim: sum[:], Meter: meter, Body: []byte(body)}
}

// hashOnly is a vote for the hash of body, without the body.
func hashOnly(round uint64, body string) types.Vote {
	v := claim(round, body, 0)
	v.Body = nil
	return v
}

func observation(round uint64, body string) types.Vote {
	return types.Vote{RoundId: round, Body: []byte(body)}
}

func (c *chain) round(tb fixture.TB, id uint64) types.Round {
	tb.Helper()
	r, err := c.k.Rounds.Get(c.Ctx, id)
	must(tb, err)
	return r
}

func (c *chain) oracle(tb fixture.TB, i int) types.Oracle {
	tb.Helper()
	o, err := c.k.Oracle(c.Ctx, operator(i))
	must(tb, err)
	return o
}

func (c *chain) participation(tb fixture.TB, i int) types.Participation {
	tb.Helper()
	resp, err := c.queries.Oracle(c.Ctx, &types.QueryOracleRequest{Operator: c.Text(operator(i))})
	must(tb, err)
	return resp.Participation
}

func (c *chain) locked(tb fixture.TB, i int) uint64 {
	tb.Helper()
	a, err := c.Escrow.Account(c.Ctx, escrowtypes.OracleAccountID(operator(i)))
	must(tb, err)
	return a.Locked
}

// executions so far of reports that were kept.
func (c *chain) executions() uint64 { return c.Wallet(kennel) }

// nextEpoch ends the running epoch.
func (c *chain) nextEpoch(tb fixture.TB) {
	tb.Helper()
	epoch, err := c.k.Epoch.Get(c.Ctx)
	must(tb, err)
	for now := epoch.Number; now == epoch.Number; {
		c.NextBlockAfter(time.Duration(max(1, epoch.Ends-c.Ctx.BlockTime().Unix())) * time.Second)
		e, err := c.k.Epoch.Get(c.Ctx)
		must(tb, err)
		now = e.Number
	}
}

func (c *chain) export(tb fixture.TB) *types.GenesisState {
	tb.Helper()
	g, err := c.k.ExportGenesis(c.Ctx)
	must(tb, err)
	return g
}

func TestNewKeeperRefusesAWrongAuthority(t *testing.T) {
	e := fixture.New(t, fixture.WithStores(types.StoreKey), fixture.WithObjectStores(types.ObjectStoreKey))
	require.Panics(t, func() {
		keeper.NewKeeper(e.Codec, e.StoreService(types.StoreKey), e.ObjectStoreKey(types.ObjectStoreKey), e.Addresses, e.Escrow,
			baseapp.NewMsgServiceRouter(), reports(), "nobody")
	})
}

func TestReporterIsTheModulesAddress(t *testing.T) {
	c := empty(t)
	require.Equal(t, c.Text(authtypes.NewModuleAddress(types.ModuleName)), c.k.Reporter())
	require.Equal(t, c.Env.Authority, c.k.Authority())
}
