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

// RegisterLegacyAminoCodec registers the messages that people sign, for wallets that sign amino JSON.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgRegisterNode{}, "fog/x/nodes/MsgRegisterNode")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateNode{}, "fog/x/nodes/MsgUpdateNode")
	legacy.RegisterAminoMsg(cdc, &MsgDrainNode{}, "fog/x/nodes/MsgDrainNode")
	legacy.RegisterAminoMsg(cdc, &MsgResumeNode{}, "fog/x/nodes/MsgResumeNode")
	legacy.RegisterAminoMsg(cdc, &MsgRetireNode{}, "fog/x/nodes/MsgRetireNode")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "fog/x/nodes/MsgUpdateParams")
}

func allMsgs() []sdk.Msg {
	return []sdk.Msg{
		&MsgRegisterNode{}, &MsgUpdateNode{}, &MsgDrainNode{}, &MsgResumeNode{}, &MsgRetireNode{},
		&MsgUpdateParams{}, &MsgRecordBenchmark{}, &MsgRecordLiveness{}, &MsgRecordModel{},
	}
}
