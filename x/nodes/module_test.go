package nodes_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/nodes"
	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

// noRounds is for a module without nodes, which asks for none.
type noRounds struct{}

func (noRounds) OpenRound(context.Context, string, []byte, int64, int64) (uint64, error) {
	panic("a round without a node")
}

func (noRounds) CancelRounds(context.Context, string, []byte) error {
	panic("a round without a node")
}

func TestGenesisThroughTheModule(t *testing.T) {
	e := fixture.New(t, fixture.WithStores(types.StoreKey))
	k := keeper.NewKeeper(e.Codec, e.StoreService(types.StoreKey), e.Addresses, e.Escrow, e.Bank, noRounds{}, e.Authority, e.Authority)
	module := nodes.NewAppModule(k, e.Addresses)
	bz := module.DefaultGenesis(e.Codec)
	require.NoError(t, module.ValidateGenesis(e.Codec, nil, bz))
	require.NotPanics(t, func() { module.InitGenesis(e.Ctx, e.Codec, bz) })
	require.JSONEq(t, string(bz), string(module.ExportGenesis(e.Ctx, e.Codec)))
	require.NoError(t, module.EndBlock(e.Ctx))

	require.ErrorContains(t, module.ValidateGenesis(e.Codec, nil, json.RawMessage(`{"node":[]}`)), "genesis of nodes")
	empty := json.RawMessage(`{}`)
	require.ErrorIs(t, module.ValidateGenesis(e.Codec, nil, empty), types.ErrInvalidGenesis)
	require.Panics(t, func() { module.InitGenesis(e.Ctx, e.Codec, empty) }, "a chain cannot start without params")
}

func TestMessagesSignWithAmino(t *testing.T) {
	amino := codec.NewLegacyAmino()
	require.NotPanics(t, func() { nodes.AppModule{}.RegisterLegacyAminoCodec(amino) })
	bz, err := amino.MarshalJSON(&types.MsgRetireNode{Owner: "fog1", NodeId: "node1"})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"fog/x/nodes/MsgRetireNode","value":{"owner":"fog1","node_id":"node1"}}`, string(bz))
}

// A command whose method or field does not exist would only fail when somebody types it.
func TestCommandsNameWhatExists(t *testing.T) {
	options := nodes.AppModule{}.AutoCLIOptions()
	for _, service := range []*autocliv1.ServiceCommandDescriptor{options.Tx, options.Query} {
		descriptor, err := proto.HybridResolver.FindDescriptorByName(protoreflect.FullName(service.Service))
		require.NoError(t, err)
		methods := descriptor.(protoreflect.ServiceDescriptor).Methods()
		require.Equal(t, methods.Len(), len(service.RpcCommandOptions), "each method has its command, or says that it has none")
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
