package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterLegacyAminoCodec registers the messages that people sign for signing with hardware wallets.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgSubmitJob{}, "fog/x/jobs/MsgSubmitJob")
	legacy.RegisterAminoMsg(cdc, &MsgCancelJob{}, "fog/x/jobs/MsgCancelJob")
	legacy.RegisterAminoMsg(cdc, &MsgTopUpJob{}, "fog/x/jobs/MsgTopUpJob")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateService{}, "fog/x/jobs/MsgUpdateService")
	legacy.RegisterAminoMsg(cdc, &MsgScaleService{}, "fog/x/jobs/MsgScaleService")
	legacy.RegisterAminoMsg(cdc, &MsgAcceptResult{}, "fog/x/jobs/MsgAcceptResult")
	legacy.RegisterAminoMsg(cdc, &MsgClaimTimeout{}, "fog/x/jobs/MsgClaimTimeout")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "fog/x/jobs/MsgUpdateParams")
}

// RegisterInterfaces registers the messages of the module.
func RegisterInterfaces(registry codectypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgSubmitJob{}, &MsgCancelJob{}, &MsgTopUpJob{}, &MsgAcceptResult{}, &MsgClaimTimeout{}, &MsgUpdateParams{},
		&MsgUpdateService{}, &MsgScaleService{}, &MsgRecordMatches{}, &MsgRecordOutcomes{}, &MsgRecordServices{},
	)
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
