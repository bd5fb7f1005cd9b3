package escrow

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/foggrid/fogd/x/escrow/types"
)

// AutoCLIOptions describes the commands `fogd tx escrow …` and `fogd q escrow …`.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: types.Msg_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod:      "Deposit",
					Use:            "deposit [amount]",
					Short:          "Deposit coins into an escrow account",
					Long:           "Deposit coins into an escrow account. Without --account it is your own provider account, which is opened if it does not exist.",
					Example:        "fogd tx escrow deposit 100ufog --from provider",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "amount"}},
					FlagOptions:    accountFlag("escrow account acct1…; your provider account if left out"),
				},
				{
					RpcMethod:      "Withdraw",
					Use:            "withdraw [amount]",
					Short:          "Withdraw free balance of an escrow account of yours to your wallet",
					Long:           "Withdraw free (not locked) balance of an escrow account of yours to your wallet. An amount of 0ufog means all that is free.",
					Example:        "fogd tx escrow withdraw 10ufog --from provider",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "amount"}},
					FlagOptions:    accountFlag("escrow account acct1… of yours; your provider account if left out"),
				},
				{
					RpcMethod:      "UpdateParams",
					Use:            "update-params-proposal [params]",
					Short:          "Submit a proposal to replace the params of x/escrow",
					Example:        `fogd tx escrow update-params-proposal '{"outflows_paused":false}' --from provider`,
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "params"}},
					GovProposal:    true,
				},
			},
		},
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: types.Query_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod:      "Account",
					Use:            "account [id]",
					Short:          "Show an escrow account",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "id"}},
				},
				{
					RpcMethod: "Accounts",
					Use:       "accounts",
					Short:     "List escrow accounts, with --owner or --kind only those of an owner or kind",
				},
				{
					RpcMethod: "Invariants",
					Use:       "invariants",
					Short:     "Recompute every sum of the ledger and compare it with the bank",
				},
				{
					RpcMethod: "Params",
					Use:       "params",
					Short:     "Show the params of x/escrow",
				},
			},
		},
	}
}

func accountFlag(usage string) map[string]*autocliv1.FlagOptions {
	return map[string]*autocliv1.FlagOptions{"account": {Name: "account", Usage: usage}}
}
