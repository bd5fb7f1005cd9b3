package jobs

import (
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"

	"github.com/cosmos/cosmos-sdk/version"

	"github.com/foggrid/fogd/x/jobs/types"
)

// AutoCLIOptions describes the commands `fogd tx jobs …` and `fogd q jobs …`.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	jobID := []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}}
	return &autocliv1.ModuleOptions{
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: types.Msg_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "SubmitJob",
					Use:       "submit [salt]",
					Short:     "Fund a job from your wallet and queue its tasks",
					Long: "Fund a job from your wallet and queue its tasks. The budget, cap × max duration × tasks plus the oracles' fee, is locked; " +
						"what is not used is free in the job's escrow account afterwards. The spec and image must be in the registry: `fog job push` puts them there.",
					Example: fmt.Sprintf(`%s tx jobs submit render-1 --type batch --engine wasm --spec-digest sha256:… --image-digest sha256:… --tasks 10 `+
						`--resources '{"cpu_milli":1000,"memory_mib":256,"storage_mib":64}' --price-cap 20000 --max-duration 600 --deadline 3600 --from developer`,
						version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "salt"}},
					FlagOptions: map[string]*autocliv1.FlagOptions{
						"type":         {Usage: "how the job lives: batch, periodic or service"},
						"engine":       {Usage: "what runs the image: wasm"},
						"spec_digest":  {Usage: "sha256:… of the full spec in the registry"},
						"image_digest": {Usage: "sha256:… of the program in the registry"},
						"tasks":        {Usage: "number of equal tasks"},
						"resources":    {Usage: `what one task takes, JSON: {"cpu_milli":1000,"memory_mib":256,"storage_mib":64,"gpus":0}`},
						"constraints":  {Usage: `hard constraints, JSON: {"regions":["eu"],"arch":["amd64"],"attributes":[{"key":"disk","value":"nvme"}]}`},
						"price_cap":    {Usage: "highest price in ufog per task-hour"},
						"max_duration": {Usage: "seconds that one task may run"},
						"deadline":     {Usage: "seconds from now by which each task must have a node"},
						"min_success":  {Usage: "tasks that must succeed for the job to be COMPLETED; all if left out"},
						"replicas":     {Usage: "replicas of a service, in the place of tasks"},
						"ports":        {Usage: `port of a service, JSON; once for each: {"name":"http","container_port":80,"protocol":"PROTOCOL_TCP"}`},
						"funded_time":  {Usage: "seconds that a service is paid for now, in the place of max-duration"},
						"schedule":     {Usage: "when a periodic job runs: minute, hour, day of the month, month, day of the week as in cron"},
						"time_zone":    {Usage: "time zone of the schedule as a rule, such as CET-1CEST,M3.5.0,M10.5.0/3; UTC if left out"},
						"overlap":      {Usage: "if a run has not finished when the next is due: overlap-forbid, overlap-allow or overlap-replace"},
						"runs":         {Usage: "runs of a periodic job to pay for now"},
					},
				},
				{
					RpcMethod:      "CancelJob",
					Use:            "cancel [job-id]",
					Short:          "Cancel a job: what waits is refunded, what runs is paid for the time it ran",
					Example:        fmt.Sprintf("%s tx jobs cancel job1… --from developer", version.AppName),
					PositionalArgs: jobID,
				},
				{
					RpcMethod:      "TopUpJob",
					Use:            "top-up [job-id] [amount]",
					Short:          "Pay in ufog for more time of a service, or for more runs of a periodic job, which starts again if it was suspended",
					Example:        fmt.Sprintf("%s tx jobs top-up job1… 5000000 --from developer", version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "amount"}},
				},
				{
					RpcMethod:      "UpdateService",
					Use:            "update-service [job-id] [spec-digest] [image-digest]",
					Short:          "Give a service another revision, replica by replica; the digests of an earlier one take it back",
					Example:        fmt.Sprintf("%s tx jobs update-service job1… sha256:… sha256:… --from developer", version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "spec_digest"}, {ProtoField: "image_digest"}},
				},
				{
					RpcMethod:      "ScaleService",
					Use:            "scale-service [job-id] [replicas]",
					Short:          "Change the number of a service's replicas",
					Example:        fmt.Sprintf("%s tx jobs scale-service job1… 3 --from developer", version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "replicas"}},
				},
				{
					RpcMethod:      "AcceptResult",
					Use:            "accept-result [job-id] [slice]...",
					Short:          "Accept reported slices of a job before their window is over; all that are reported if none is named",
					Example:        fmt.Sprintf("%s tx jobs accept-result job1… 0 1 --from developer", version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "slices", Varargs: true}},
				},
				{
					RpcMethod:      "ClaimTimeout",
					Use:            "claim-timeout [job-id] [slice]...",
					Short:          "Settle slices whose time is over, should the queue not have reached them",
					Example:        fmt.Sprintf("%s tx jobs claim-timeout job1… 0 --from provider", version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "slices", Varargs: true}},
				},
				{
					RpcMethod: "UpdateParams",
					Use:       "update-params-proposal [params]",
					Short:     "Submit a proposal to replace the params of x/jobs",
					Long: fmt.Sprintf("Submit a proposal to replace the params of x/jobs. All params must be given; `%s q jobs params -o json` shows them.",
						version.AppName),
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "params"}},
					GovProposal:    true,
				},
				{RpcMethod: "RecordMatches", Skip: true},  // executed by x/oracle only
				{RpcMethod: "RecordOutcomes", Skip: true}, // executed by x/oracle only
				{RpcMethod: "RecordServices", Skip: true}, // executed by x/oracle only
			},
		},
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: types.Query_serviceDesc.ServiceName,
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod:      "Job",
					Use:            "job [id]",
					Short:          "Show a job",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "id"}},
				},
				{
					RpcMethod: "Jobs",
					Use:       "jobs",
					Short:     "List jobs, with --owner or --status only those of an owner or status",
					FlagOptions: map[string]*autocliv1.FlagOptions{
						"owner":  {Usage: "address of who submitted them"},
						"status": {Usage: "open or closed"},
					},
				},
				{
					RpcMethod:      "PeriodicJob",
					Use:            "periodic-job [id]",
					Short:          "Show a periodic job",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "id"}},
				},
				{
					RpcMethod:   "PeriodicJobs",
					Use:         "periodic-jobs",
					Short:       "List periodic jobs, with --owner only those of an owner",
					FlagOptions: map[string]*autocliv1.FlagOptions{"owner": {Usage: "address of who submitted them"}},
				},
				{
					RpcMethod:      "Slice",
					Use:            "slice [job-id] [number]",
					Short:          "Show a slice of a job",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "job_id"}, {ProtoField: "number"}},
				},
				{
					RpcMethod: "Slices",
					Use:       "slices",
					Short:     "List the slices of a job (--job-id) or those that run on a node (--node-id)",
				},
				{
					RpcMethod:      "Endpoints",
					Use:            "endpoints [job-id]",
					Short:          "Show where the replicas of a service are reached",
					PositionalArgs: jobID,
				},
				{RpcMethod: "Services", Use: "services", Short: "List the slices of services that are on nodes"},
				{RpcMethod: "ServiceClock", Use: "service-clock", Short: "Show the present epoch of services"},
				{RpcMethod: "Pending", Use: "pending", Short: "List what waits for a match, in the order of the queue"},
				{RpcMethod: "Invariants", Use: "invariants", Short: "Recompute counters, queues and money and compare"},
				{RpcMethod: "Params", Use: "params", Short: "Show the params of x/jobs"},
			},
		},
	}
}
