// Package testapp runs the whole state machine in a test: one validator, funded accounts, and blocks on demand through
// FinalizeBlock and Commit. There is no network and no clock; two chains made with the same options and given the same
// transactions are equal to the last byte.
package testapp

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	gogogrpc "github.com/cosmos/gogoproto/grpc"
	"github.com/stretchr/testify/require"

	coreheader "cosmossdk.io/core/header"
	"cosmossdk.io/log/v2"
	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/codec"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	simtestutil "github.com/cosmos/cosmos-sdk/testutil/sims"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"

	"github.com/foggrid/fogd/app"
)

const (
	// ChainID is the id of every test chain.
	ChainID = "fog-testapp-1"

	// BlockTime lies between two blocks unless a test advances the time further.
	BlockTime = time.Second

	// DefaultBalance is what an account owns at genesis, in ufog.
	DefaultBalance = 1_000_000_000_000

	defaultAccounts = 4
)

// GenesisTime is the time at which every test chain begins.
var GenesisTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type settings struct {
	accounts   int
	balance    int64
	db         dbm.DB
	logger     log.Logger
	appOptions simtestutil.AppOptionsMap
	base       []func(*baseapp.BaseApp)
	genesis    []func(codec.JSONCodec, map[string]json.RawMessage)
	consensus  func(*cmttypes.ConsensusParams)
}

// Option changes how New makes a chain.
type Option func(*settings)

// WithAccounts sets the number of funded accounts; without it there are four.
func WithAccounts(n int) Option { return func(s *settings) { s.accounts = n } }

// WithBalance sets what each account owns at genesis, in ufog.
func WithBalance(ufog int64) Option { return func(s *settings) { s.balance = ufog } }

// WithDB keeps the state in db instead of in memory.
func WithDB(db dbm.DB) Option { return func(s *settings) { s.db = db } }

// WithLogger sets the logger of the app, which otherwise says nothing.
func WithLogger(logger log.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithAppOption sets what app.toml or a flag would: "block-executor" to "block-stm", for one.
func WithAppOption(key string, value any) Option {
	return func(s *settings) { s.appOptions[key] = value }
}

// WithBaseAppOption applies an option of the base app.
func WithBaseAppOption(option func(*baseapp.BaseApp)) Option {
	return func(s *settings) { s.base = append(s.base, option) }
}

// WithGenesis changes the genesis state, module by module, before the chain starts.
func WithGenesis(change func(cdc codec.JSONCodec, state map[string]json.RawMessage)) Option {
	return func(s *settings) { s.genesis = append(s.genesis, change) }
}

// WithoutInflation keeps the sum of all coins constant.
func WithoutInflation() Option {
	return WithGenesis(func(cdc codec.JSONCodec, state map[string]json.RawMessage) {
		var mint minttypes.GenesisState
		cdc.MustUnmarshalJSON(state[minttypes.ModuleName], &mint)
		zero := sdkmath.LegacyZeroDec()
		mint.Minter.Inflation = zero
		mint.Params.InflationMin, mint.Params.InflationMax, mint.Params.InflationRateChange = zero, zero, zero
		state[minttypes.ModuleName] = cdc.MustMarshalJSON(&mint)
	})
}

// WithConsensusParams changes the consensus parameters before the chain starts.
func WithConsensusParams(change func(*cmttypes.ConsensusParams)) Option {
	return func(s *settings) { s.consensus = change }
}

// Chain is a running chain and what a test needs to drive it.
type Chain struct {
	App      *app.App
	Accounts []*Account

	// OnBlock, if set, sees every block after its commit.
	OnBlock func(*Block)

	tb        testing.TB
	validator *cmttypes.Validator
	time      time.Time
	last      *Block
}

// Block is what executing a block gave.
type Block struct {
	Height  int64
	Time    time.Time
	Results []*abci.ExecTxResult
	Events  []abci.Event // those outside of transactions
	AppHash []byte
}

// New starts a chain with funded accounts and executes its first block, which is empty.
func New(tb testing.TB, options ...Option) *Chain {
	tb.Helper()

	s := settings{
		accounts:   defaultAccounts,
		balance:    DefaultBalance,
		db:         dbm.NewMemDB(),
		logger:     log.NewNopLogger(),
		appOptions: simtestutil.AppOptionsMap{},
	}
	for _, option := range options {
		option(&s)
	}

	base := append([]func(*baseapp.BaseApp){baseapp.SetChainID(ChainID)}, s.base...)
	c := &Chain{
		App:  app.New(s.logger, s.db, true, s.appOptions, base...),
		tb:   tb,
		time: GenesisTime,
	}

	key := ed25519.GenPrivKeyFromSecret([]byte("fog testapp validator"))
	pubKey, err := cryptocodec.ToCmtPubKeyInterface(key.PubKey())
	require.NoError(tb, err)
	c.validator = cmttypes.NewValidator(pubKey, 1)

	for i := range s.accounts {
		c.Accounts = append(c.Accounts, numberedAccount(i))
	}
	c.init(s)
	c.NextBlock()

	return c
}

// Addresses are those of the first n accounts that every chain has, for a genesis state that names them.
func Addresses(n int) []sdk.AccAddress {
	out := make([]sdk.AccAddress, n)
	for i := range out {
		out[i] = numberedAccount(i).Address
	}

	return out
}

func numberedAccount(i int) *Account {
	return newAccount(fmt.Sprintf("fog testapp account %d", i), uint64(i))
}

func newAccount(secret string, number uint64) *Account {
	key := secp256k1.GenPrivKeyFromSecret([]byte(secret))

	return &Account{Key: key, Address: sdk.AccAddress(key.PubKey().Address()), number: number}
}

func (c *Chain) init(s settings) {
	c.tb.Helper()

	accounts := make([]authtypes.GenesisAccount, len(c.Accounts))
	balances := make([]banktypes.Balance, len(c.Accounts))
	for i, account := range c.Accounts {
		accounts[i] = authtypes.NewBaseAccount(account.Address, nil, account.number, 0)
		balances[i] = banktypes.Balance{Address: account.String(), Coins: Ufog(s.balance)}
	}

	cdc := c.App.AppCodec()
	state, err := simtestutil.GenesisStateWithValSet(
		cdc, c.App.DefaultGenesis(), cmttypes.NewValidatorSet([]*cmttypes.Validator{c.validator}), accounts, balances...,
	)
	require.NoError(c.tb, err)
	c.bondValidator(cdc, state)
	for _, change := range s.genesis {
		change(cdc, state)
	}
	raw, err := json.Marshal(state)
	require.NoError(c.tb, err)

	params := app.DefaultConsensusParams()
	if s.consensus != nil {
		s.consensus(params)
	}
	paramsProto := params.ToProto()
	_, err = c.App.InitChain(&abci.RequestInitChain{
		ChainId:         ChainID,
		Time:            GenesisTime,
		ConsensusParams: &paramsProto,
		AppStateBytes:   raw,
		InitialHeight:   1,
	})
	require.NoError(c.tb, err)
}

// bondValidator lets slashing know the validator, which it otherwise gets to know when a validator bonds, and restores the
// metadata of the coin, which the SDK's helper drops.
func (c *Chain) bondValidator(cdc codec.JSONCodec, state map[string]json.RawMessage) {
	address := sdk.ConsAddress(c.validator.Address)

	var slashing slashingtypes.GenesisState
	cdc.MustUnmarshalJSON(state[slashingtypes.ModuleName], &slashing)
	slashing.SigningInfos = []slashingtypes.SigningInfo{{
		Address:              address.String(),
		ValidatorSigningInfo: slashingtypes.NewValidatorSigningInfo(address, 0, 0, time.Unix(0, 0).UTC(), false, 0),
	}}
	state[slashingtypes.ModuleName] = cdc.MustMarshalJSON(&slashing)

	var bank banktypes.GenesisState
	cdc.MustUnmarshalJSON(state[banktypes.ModuleName], &bank)
	bank.DenomMetadata = []banktypes.Metadata{app.DenomMetadata()}
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(&bank)
}

// NextBlock executes and commits a block of the transactions, a block time after the last one.
func (c *Chain) NextBlock(txs ...[]byte) *Block {
	c.tb.Helper()

	return c.NextBlockAfter(BlockTime, txs...)
}

// NextBlockAfter is NextBlock with another time since the last block.
func (c *Chain) NextBlockAfter(since time.Duration, txs ...[]byte) *Block {
	c.tb.Helper()

	c.time = c.time.Add(since)
	height := int64(1)
	if c.last != nil {
		height = c.last.Height + 1
	}
	req := &abci.RequestFinalizeBlock{
		Height:             height,
		Time:               c.time,
		Txs:                txs,
		Hash:               BlockHash(height),
		ProposerAddress:    c.validator.Address,
		NextValidatorsHash: cmttypes.NewValidatorSet([]*cmttypes.Validator{c.validator}).Hash(),
	}
	if height > 1 {
		req.DecidedLastCommit.Votes = []abci.VoteInfo{{
			Validator:   abci.Validator{Address: c.validator.Address, Power: c.validator.VotingPower},
			BlockIdFlag: cmtproto.BlockIDFlagCommit,
		}}
	}

	res, err := c.App.FinalizeBlock(req)
	require.NoError(c.tb, err)
	_, err = c.App.Commit()
	require.NoError(c.tb, err)

	c.last = &Block{Height: height, Time: c.time, Results: res.TxResults, Events: res.Events, AppHash: res.AppHash}
	if c.OnBlock != nil {
		c.OnBlock(c.last)
	}

	return c.last
}

// SkipBlocks executes n empty blocks and returns the last.
func (c *Chain) SkipBlocks(n int) *Block {
	c.tb.Helper()
	for range n {
		c.NextBlock()
	}

	return c.last
}

// Last returns the last block.
func (c *Chain) Last() *Block { return c.last }

// Context returns a context over the state of the last block; what is written to it is lost.
func (c *Chain) Context() sdk.Context {
	return c.App.NewContextLegacy(true, cmtproto.Header{ChainID: ChainID, Height: c.last.Height, Time: c.last.Time}).
		WithHeaderInfo(coreheader.Info{ChainID: ChainID, Height: c.last.Height, Time: c.last.Time})
}

// Conn returns a connection to the query services over the state of the last block, for the generated query clients.
func (c *Chain) Conn() gogogrpc.ClientConn {
	return &baseapp.QueryServiceTestHelper{GRPCQueryRouter: c.App.GRPCQueryRouter(), Ctx: c.Context()}
}

// Balance returns what an address owns outside of any module, in ufog.
func (c *Chain) Balance(address sdk.AccAddress) int64 {
	return c.App.BankKeeper.GetBalance(c.Context(), address, app.BondDenom).Amount.Int64()
}

// Ufog returns an amount of the chain's coin.
func Ufog(amount int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(app.BondDenom, amount)) }
