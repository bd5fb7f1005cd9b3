package chain

import (
	"fmt"

	"cosmossdk.io/core/address"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	vestingtypes "github.com/cosmos/cosmos-sdk/x/auth/vesting/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Bech32Prefix is the human-readable part of account addresses.
const Bech32Prefix = "fog"

// Codec knows the types that clients of the chain meet, and the form of its addresses. It does not touch the SDK's
// global configuration.
type Codec struct {
	registry codectypes.InterfaceRegistry
	proto    *codec.ProtoCodec
	accounts address.Codec
}

// NewCodec returns a codec with the SDK's types that we use and those of our modules.
func NewCodec() (*Codec, error) {
	accounts := addresscodec.NewBech32Codec(Bech32Prefix)
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          accounts,
			ValidatorAddressCodec: addresscodec.NewBech32Codec(Bech32Prefix + "valoper"),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("chain: interface registry: %w", err)
	}
	for _, register := range []func(codectypes.InterfaceRegistry){
		std.RegisterInterfaces,
		authtypes.RegisterInterfaces,
		vestingtypes.RegisterInterfaces,
		banktypes.RegisterInterfaces,
		stakingtypes.RegisterInterfaces,
		govtypes.RegisterInterfaces,
		authz.RegisterInterfaces,
		escrowtypes.RegisterInterfaces,
		nodestypes.RegisterInterfaces,
		jobstypes.RegisterInterfaces,
		oracletypes.RegisterInterfaces,
	} {
		register(registry)
	}
	return &Codec{registry: registry, proto: codec.NewProtoCodec(registry), accounts: accounts}, nil
}

// Registry returns the interface registry.
func (c *Codec) Registry() codectypes.InterfaceRegistry { return c.registry }

// Proto returns the protobuf codec over the registry.
func (c *Codec) Proto() *codec.ProtoCodec { return c.proto }

// Accounts returns the codec of account addresses (fog1…).
func (c *Codec) Accounts() address.Codec { return c.accounts }
