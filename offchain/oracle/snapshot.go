package oracle

import (
	"context"
	"fmt"
	"math"
	"slices"

	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/match"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// maxPending slices, the first of the queue, are looked at for one batch: the rest waits for the next one.
const maxPending = 2_000

// Snapshot reads what matching depends on, as it stood after the block at height, and the version of the policy. It is part of the
// claim path: every oracle must get the same from the same height.
func Snapshot(ctx context.Context, c *chain.Client, height int64) (s match.Snapshot, policy string, err error) {
	conn := c.AtHeight(height)
	addresses := c.Codec().Accounts()
	jobsParams, err := jobstypes.NewQueryClient(conn).Params(ctx, &jobstypes.QueryParamsRequest{})
	if err != nil {
		return s, "", err
	}
	nodesParams, err := nodestypes.NewQueryClient(conn).Params(ctx, &nodestypes.QueryParamsRequest{})
	if err != nil {
		return s, "", err
	}
	at, err := c.BlockTime(ctx, height)
	if err != nil {
		return s, "", err
	}
	s.Time, policy = at.Unix(), jobsParams.Params.MatchPolicy
	s.Params = match.Params{
		MaxItems: jobsParams.Params.MaxBatchItems, MaxSliceTasks: jobstypes.MaxSliceTasks,
		Fee: jobsParams.Params.Fee, Collateral: jobsParams.Params.Collateral, ServiceCollateral: jobsParams.Params.ServiceCollateral,
	}
	account := func(address string) (match.ID, error) {
		raw, err := addresses.StringToBytes(address)
		if err != nil {
			return match.ID{}, fmt.Errorf("address %q: %w", address, err)
		}
		return match.ID(escrowtypes.ProviderAccountID(raw)), nil
	}
	if err := readNodes(ctx, conn, &s, terms{jobsParams.Params, nodesParams.Params}, account); err != nil {
		return s, "", err
	}
	if s.Pending, err = readPending(ctx, conn, jobsParams.Params, account); err != nil {
		return s, "", err
	}
	if s.Residents, err = readResidents(ctx, conn, s.Pending); err != nil {
		return s, "", err
	}
	s.Funds, err = readFunds(ctx, conn, s.Nodes)
	return s, policy, err
}

type accountOf func(address string) (match.ID, error)

// terms are the params that bear on which node may take what.
type terms struct {
	jobs  jobstypes.Params
	nodes nodestypes.Params
}

// readNodes puts the nodes that take work into a snapshot whose time is known.
func readNodes(ctx context.Context, conn grpc.ClientConnInterface, s *match.Snapshot, p terms, account accountOf) error {
	queries := nodestypes.NewQueryClient(conn)
	active, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*nodestypes.QueryNodesResponse, error) {
		return queries.Nodes(ctx, &nodestypes.QueryNodesRequest{Status: nodestypes.NODE_STATUS_ACTIVE, Pagination: page})
	}, func(r *nodestypes.QueryNodesResponse) []nodestypes.Node { return r.Nodes })
	if err != nil {
		return err
	}
	for _, n := range active {
		if n.BenchmarkPending {
			continue
		}
		id, err := nodestypes.ParseNodeID(n.Id)
		if err != nil {
			return err
		}
		owner, err := account(n.Owner)
		if err != nil {
			return err
		}
		free, err := n.Capacity.Sub(n.Reserved)
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Id, err)
		}
		if n.Ports.Count() > 0 {
			s.Ports = append(s.Ports, match.NodePorts{
				Node: match.ID(id), Ports: match.Ports{From: n.Ports.From, To: n.Ports.To, Used: n.PortsInUse},
			})
		}
		if from, leaves := n.NextAbsence(s.Time); leaves {
			s.Leaving = append(s.Leaving, match.Leaving{Node: match.ID(id), In: uint64(from - s.Time), NoServices: !p.jobs.TakesServices(n)})
		}
		s.Nodes = append(s.Nodes, matchNode(n, match.ID(id), owner, resources(free), n.Statistics.Tasks < uint64(p.nodes.ProbationTasks)))
	}
	return nil
}

func matchNode(n nodestypes.Node, id, owner match.ID, free match.Resources, probation bool) match.Node {
	m := match.Node{
		ID: id, Index: n.Index, Owner: owner, Free: free,
		Prices: match.Prices{CPU: n.Prices.Cpu, Memory: n.Prices.Memory, Storage: n.Prices.Storage, GPU: n.Prices.Gpu},
		Region: n.Region, Datacenter: n.Datacenter, Arch: n.Hardware.Arch, OS: n.Hardware.Os, CPUSingle: n.Measured.CpuSingle,
		Probation: probation, Running: n.RunningTasks,
		CPUAll: n.Measured.CpuAll, MemoryBandwidth: n.Measured.MemoryBandwidth, DiskRead: saturated(n.Measured.DiskRead),
		Bandwidth: saturated(n.Measured.BandwidthKbit / 1000),
		CPUModel:  n.Hardware.CpuModel, GPUModel: n.Hardware.GpuModel, StorageType: storageTypes[n.Hardware.StorageType],
		Class: n.Class, Place: placeOf(n.Location), RTT: roundTrip(n), Grade: letter(n.Grade),
		Stats: match.Stats{
			Successes: n.Rating.Successes, Trials: n.Rating.Trials, Speed: n.Rating.Speed, SpeedTrials: n.Rating.SpeedTrials,
			Doubt: n.Rating.Doubt, Suspects: n.Rating.Suspects, Last: n.RatedTime,
		},
	}
	for _, a := range n.Attributes {
		m.Attributes = append(m.Attributes, match.Attribute{Key: a.Key, Value: a.Value})
	}
	for _, e := range n.Engines {
		m.Runtimes = m.Runtimes.With(match.Runtime(e))
	}
	return m
}

// roundTrip is that of the pings, or of the benchmark as long as there are no pings.
func roundTrip(n nodestypes.Node) uint32 {
	if n.Network.RttUs > 0 {
		return n.Network.RttUs
	}
	return saturated(n.Measured.RttUs)
}

func saturated(v uint64) uint32 { return uint32(min(v, math.MaxUint32)) }

// letter of a network grade; zero if there is none.
func letter(g nodestypes.NetworkGrade) byte {
	if text := g.Letter(); text != "" {
		return text[0]
	}
	return 0
}

// storageTypes as conditions name them.
var storageTypes = map[nodestypes.StorageType]string{
	nodestypes.STORAGE_TYPE_HDD: "hdd", nodestypes.STORAGE_TYPE_SSD: "ssd", nodestypes.STORAGE_TYPE_NVME: "nvme",
}

func placeOf(l *nodestypes.Location) match.Place {
	if l == nil {
		return match.Place{}
	}
	return match.PlaceAt(l.Latitude, l.Longitude)
}

func readPending(ctx context.Context, conn grpc.ClientConnInterface, params jobstypes.Params, account accountOf) ([]match.Pending, error) {
	queries := jobstypes.NewQueryClient(conn)
	var out []match.Pending
	for page, err := range chain.Pages(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QueryPendingResponse, error) {
		return queries.Pending(ctx, &jobstypes.QueryPendingRequest{Pagination: page})
	}) {
		if err != nil {
			return nil, err
		}
		for _, p := range page.Pending {
			m, err := pending(params, p, account)
			if err != nil {
				return nil, fmt.Errorf("slice %d of %s: %w", p.Slice.Number, p.Slice.JobId, err)
			}
			if out = append(out, m); len(out) == maxPending {
				return out, nil
			}
		}
	}
	return out, nil
}

func pending(params jobstypes.Params, p jobstypes.PendingSlice, account accountOf) (match.Pending, error) {
	job, slice := p.Job, p.Slice
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, job.Id)
	if err != nil {
		return match.Pending{}, err
	}
	owner, err := account(job.Owner)
	if err != nil {
		return match.Pending{}, err
	}
	terms, err := slice.TaskTerms()
	if err != nil {
		return match.Pending{}, err
	}
	budget, err := terms.Sum()
	if err != nil {
		return match.Pending{}, err
	}
	c := job.Constraints
	m := match.Pending{
		Job: match.ID(id), Slice: slice.Number, Owner: owner, First: slice.FirstTask, Count: slice.TaskCount,
		Height: slice.QueuedHeight, Runtime: match.Runtime(job.Engine), Task: resources(job.Resources), PriceCap: job.PriceCap, MaxDuration: slice.MaxDuration,
		TaskBudget: budget,
		Constraints: match.Constraints{
			Regions: c.Regions, Datacenters: c.Datacenters, Arch: c.Arch, OS: c.Os, MinCPUSingle: c.MinCpuSingle,
		},
		Where: c.Where, MinGrade: letter(params.MinGrade(job)), Stay: params.Stay(job, slice.MaxDuration),
	}
	if job.IsService() {
		m.Service, m.KeepsVolumes, m.Ports = true, job.Service.KeepsVolumes, jobstypes.HostPorts(job.Service.Ports)
	}
	if m.Wishes, err = wishes(job.Wishes); err != nil {
		return match.Pending{}, err
	}
	for _, a := range c.Attributes {
		m.Constraints.Attributes = append(m.Constraints.Attributes, match.Attribute{Key: a.Key, Value: a.Value})
	}
	for _, list := range []struct {
		from []string
		to   *[]match.ID
	}{{c.Nodes, &m.Constraints.Nodes}, {c.ExcludeNodes, &m.Constraints.ExcludeNodes}, {slice.Excluded, &m.ExcludedNodes}} {
		for _, text := range list.from {
			node, err := nodestypes.ParseNodeID(text)
			if err != nil {
				return match.Pending{}, err
			}
			*list.to = append(*list.to, match.ID(node))
		}
	}
	for _, address := range slice.ExcludedOwners {
		excluded, err := account(address)
		if err != nil {
			return match.Pending{}, err
		}
		m.ExcludedOwners = append(m.ExcludedOwners, excluded)
	}
	return m, nil
}

// readFunds reads what the owners of the nodes have free for collateral.
func readFunds(ctx context.Context, conn grpc.ClientConnInterface, nodes []match.Node) ([]match.Funds, error) {
	var owners []match.ID
	for _, n := range nodes {
		owners = append(owners, n.Owner)
	}
	slices.SortFunc(owners, func(a, b match.ID) int { return slices.Compare(a[:], b[:]) })
	owners = slices.Compact(owners)
	queries := escrowtypes.NewQueryClient(conn)
	out := make([]match.Funds, 0, len(owners))
	for _, owner := range owners {
		resp, err := queries.Account(ctx, &escrowtypes.QueryAccountRequest{Id: escrowtypes.ID(owner).Bech32(escrowtypes.AccountHRP)})
		if err != nil {
			return nil, err
		}
		out = append(out, match.Funds{Owner: owner, Available: resp.Account.Free()})
	}
	return out, nil
}

func resources(r nodestypes.Resources) match.Resources {
	return match.Resources{CPUMilli: r.CpuMilli, MemoryMiB: r.MemoryMib, StorageMiB: r.StorageMib, GPUs: r.Gpus}
}
