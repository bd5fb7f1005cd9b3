package escrow_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/foggrid/fogd/x/escrow"
	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

func TestGenesisThroughTheModule(t *testing.T) {
	e := fixture.New(t)
	module := escrow.NewAppModule(e.Escrow, e.Addresses)
	bz := module.DefaultGenesis(e.Codec)
	require.NoError(t, module.ValidateGenesis(e.Codec, nil, bz))
	require.NotPanics(t, func() { module.InitGenesis(e.Ctx, e.Codec, bz) })
	require.JSONEq(t, string(bz), string(module.ExportGenesis(e.Ctx, e.Codec)))

	require.ErrorContains(t, module.ValidateGenesis(e.Codec, nil, json.RawMessage(`{"account":[]}`)), "genesis of escrow")
	require.ErrorIs(t, module.ValidateGenesis(e.Codec, nil, json.RawMessage(`{"accounts":[{"id":"acct1"}]}`)), types.ErrInvalidGenesis)

	owner := e.Text(fixture.Address("alice"))
	uncovered, err := e.Codec.MarshalJSON(&types.GenesisState{Accounts: []types.Account{
		{Id: types.ID{1}.Bech32("acct"), Owner: owner, Kind: types.ACCOUNT_KIND_JOB, Balance: 1},
	}})
	require.NoError(t, err)
	require.NoError(t, module.ValidateGenesis(e.Codec, nil, uncovered))
	require.Panics(t, func() { module.InitGenesis(e.Ctx, e.Codec, uncovered) }, "a chain cannot start without the coins")
}

func TestMessagesSignWithAmino(t *testing.T) {
	amino := codec.NewLegacyAmino()
	require.NotPanics(t, func() { escrow.AppModule{}.RegisterLegacyAminoCodec(amino) })
	bz, err := amino.MarshalJSON(&types.MsgDeposit{Depositor: "fog1", Amount: types.Coin(3)})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"fog/x/escrow/MsgDeposit","value":{"depositor":"fog1","amount":{"denom":"ufog","amount":"3"}}}`, string(bz))
}

// A command whose method or field does not exist would only fail when somebody types it.
func TestCommandsNameWhatExists(t *testing.T) {
	options := escrow.AppModule{}.AutoCLIOptions()
	for _, service := range []*autocliv1.ServiceCommandDescriptor{options.Tx, options.Query} {
		descriptor, err := proto.HybridResolver.FindDescriptorByName(protoreflect.FullName(service.Service))
		require.NoError(t, err)
		methods := descriptor.(protoreflect.ServiceDescriptor).Methods()
		require.Equal(t, methods.Len(), len(service.RpcCommandOptions), "each method has its command")
		for _, command := range service.RpcCommandOptions {
			method := methods.ByName(protoreflect.Name(command.RpcMethod))
			require.NotNil(t, method, command.RpcMethod)
			for _, arg := range command.PositionalArgs {
				require.NotNil(t, method.Input().Fields().ByName(protoreflect.Name(arg.ProtoField)), arg.ProtoField)
			}
			for field := range command.FlagOptions {
				require.NotNil(t, method.Input().Fields().ByName(protoreflect.Name(field)), field)
			}
		}
	}
}
