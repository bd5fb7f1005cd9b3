package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry cdctypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil), allMsgs()...)
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}

// RegisterLegacyAminoCodec registers the messages for wallets that sign amino JSON.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgBond{}, "fog/x/oracle/MsgBond")
	legacy.RegisterAminoMsg(cdc, &MsgUnbond{}, "fog/x/oracle/MsgUnbond")
	legacy.RegisterAminoMsg(cdc, &MsgSetFeeder{}, "fog/x/oracle/MsgSetFeeder")
	legacy.RegisterAminoMsg(cdc, &MsgAttest{}, "fog/x/oracle/MsgAttest")
	legacy.RegisterAminoMsg(cdc, &MsgUnjail{}, "fog/x/oracle/MsgUnjail")
	legacy.RegisterAminoMsg(cdc, &MsgAdmitOracle{}, "fog/x/oracle/MsgAdmitOracle")
	legacy.RegisterAminoMsg(cdc, &MsgRemoveOracle{}, "fog/x/oracle/MsgRemoveOracle")
	legacy.RegisterAminoMsg(cdc, &MsgPunishOracle{}, "fog/x/oracle/MsgPunishOracle")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "fog/x/oracle/MsgUpdateParams")
}

func allMsgs() []sdk.Msg {
	return []sdk.Msg{
		&MsgBond{}, &MsgUnbond{}, &MsgSetFeeder{}, &MsgAttest{}, &MsgUnjail{},
		&MsgAdmitOracle{}, &MsgRemoveOracle{}, &MsgPunishOracle{}, &MsgUpdateParams{},
	}
}
