package nodes

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/foggrid/fogd/x/nodes/types"
)

// AutoCLIOptions describes the commands `fogd tx nodes …` and `fogd q nodes …`.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	id := []*autocliv1.PositionalArgDescriptor{{ProtoField: "node_id"}}
	return &autocliv1.ModuleOptions{
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: types.Msg_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "RegisterNode", Use: "register [salt]",
					Short: "Register a machine",
					Long: "Register a machine. The agent's key must sign the registration, so `fog node register` is the usual way: " +
						"it benchmarks the machine and makes the whole message.",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "salt"}},
				},
				{
					RpcMethod: "UpdateNode", Use: "update [node-id]", PositionalArgs: id,
					Short:   "Change prices, attributes, capacity, the declaration, address and ports, or offline hours of a node",
					Example: `fogd tx nodes update node1… --prices '{"cpu":"20000","memory":"5000"}' --from provider`,
				},
				{RpcMethod: "DrainNode", Use: "drain [node-id]", Short: "Finish the work a node has and take no more", PositionalArgs: id},
				{
					RpcMethod: "ResumeNode", Use: "resume [node-id]", PositionalArgs: id,
					Short: "End draining, or have a jailed or waiting node benchmarked again",
				},
				{RpcMethod: "RetireNode", Use: "retire [node-id]", Short: "End a registration and free its deposit", PositionalArgs: id},
				{
					RpcMethod: "UpdateParams", Use: "update-params-proposal [params]", GovProposal: true,
					Short:          "Submit a proposal to replace the params of x/nodes",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "params"}},
				},
				{RpcMethod: "RecordBenchmark", Skip: true}, // executed by x/oracle only
				{RpcMethod: "RecordLiveness", Skip: true},
				{RpcMethod: "RecordModel", Skip: true},
			},
		},
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: types.Query_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "Node", Use: "node [id]", Short: "Show a node",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "id"}},
				},
				{RpcMethod: "Nodes", Use: "list", Short: "List nodes, with --owner, --status, --region and --class only some"},
				{RpcMethod: "Model", Use: "model", Short: "Show the model of the classes and their profiles"},
				{RpcMethod: "Params", Use: "params", Short: "Show the params of x/nodes"},
			},
		},
	}
}
