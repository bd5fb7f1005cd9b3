package oracle

import (
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/cosmos-sdk/version"

	"github.com/foggrid/fogd/x/oracle/types"
)

// AutoCLIOptions describes the commands `fogd tx oracle …` and `fogd q oracle …`.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(fields ...string) []*autocliv1.PositionalArgDescriptor {
		out := make([]*autocliv1.PositionalArgDescriptor, len(fields))
		for i, f := range fields {
			out[i] = &autocliv1.PositionalArgDescriptor{ProtoField: f}
		}
		return out
	}
	return &autocliv1.ModuleOptions{
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: types.Msg_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "Bond", Use: "bond [amount]", Short: "Add coins of the operator to its bond",
					Example:        fmt.Sprintf("%s tx oracle bond 10000000000ufog --from operator", version.AppName),
					PositionalArgs: arg("amount"),
				},
				{
					RpcMethod: "Unbond", Use: "unbond [amount]",
					Short:          "Start to take coins out of the bond; slashable until the unbonding time is over",
					PositionalArgs: arg("amount"),
				},
				{
					RpcMethod: "SetFeeder", Use: "set-feeder [feeder]", Short: "Name the hot key that attests for the operator",
					Long:           "Name the hot key that attests for the operator and, with --endpoint and --transport-key, where agents dial it.",
					PositionalArgs: arg("feeder"),
				},
				{RpcMethod: "Attest", Use: "attest", Short: "Cast votes (made by `fog oracle run`)"},
				{RpcMethod: "Unjail", Use: "unjail", Short: "Return a jailed oracle after its time"},
				{
					RpcMethod: "AdmitOracle", Use: "admit-oracle-proposal [operator]", Short: "Submit a proposal to admit an oracle",
					PositionalArgs: arg("operator"), GovProposal: true,
				},
				{
					RpcMethod: "RemoveOracle", Use: "remove-oracle-proposal [operator]", Short: "Submit a proposal to remove an oracle",
					PositionalArgs: arg("operator"), GovProposal: true,
				},
				{
					RpcMethod: "PunishOracle", Use: "punish-oracle-proposal [operator] [round-id] [reason]",
					Short:          "Submit a proposal to slash an oracle whose claim a replay disproves",
					PositionalArgs: arg("operator", "round_id", "reason"), GovProposal: true,
				},
				{
					RpcMethod: "UpdateParams", Use: "update-params-proposal [params]",
					Short: "Submit a proposal to replace the params of x/oracle", PositionalArgs: arg("params"), GovProposal: true,
				},
			},
		},
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: types.Query_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Oracles", Use: "oracles", Short: "List the oracles"},
				{RpcMethod: "Oracle", Use: "oracle [operator]", Short: "Show an oracle", PositionalArgs: arg("operator")},
				{RpcMethod: "Rounds", Use: "rounds", Short: "List rounds, with --status, --kind and --subject only some"},
				{RpcMethod: "Round", Use: "round [id]", Short: "Show a round with its votes", PositionalArgs: arg("id")},
				{RpcMethod: "Params", Use: "params", Short: "Show the params of x/oracle"},
			},
		},
	}
}
