package oracle

import (
	"context"

	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/match"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var scopes = map[jobstypes.Spread]match.Scope{
	jobstypes.SPREAD_NODE: match.ScopeNode, jobstypes.SPREAD_OWNER: match.ScopeOwner,
	jobstypes.SPREAD_DATACENTER: match.ScopeDatacenter, jobstypes.SPREAD_REGION: match.ScopeRegion,
}

// wishes of a job as matching knows them.
func wishes(w *jobstypes.Wishes) (match.Wishes, error) {
	if w == nil {
		return match.Wishes{}, nil
	}
	out := match.Wishes{
		Work: w.Work, FailureCost: w.FailureCost, LatencyPrice: w.LatencyPrice, Place: placeOf(w.Place),
		Spread: scopes[w.Spread], Pack: w.Pack, PerNode: w.PerNode, PerOwner: w.PerOwner, Gang: w.Gang,
	}
	for _, p := range w.Prefer {
		out.Prefer = append(out.Prefer, match.Preference{Where: p.Where, Weight: p.Weight})
	}
	for _, a := range w.Affinity {
		id, err := escrowtypes.ParseID(jobstypes.JobHRP, a.JobId)
		if err != nil {
			return out, err
		}
		out.Affinity = append(out.Affinity, match.Affinity{Job: match.ID(id), Apart: a.Apart, Weight: a.Weight})
	}
	return out, nil
}

// readResidents reads where the tasks of those jobs run that the pending ones care about.
func readResidents(ctx context.Context, conn grpc.ClientConnInterface, pending []match.Pending) ([]match.Resident, error) {
	queries := jobstypes.NewQueryClient(conn)
	read := map[match.ID]bool{}
	var out []match.Resident
	for _, p := range pending {
		for _, job := range heeded(p) {
			if read[job] {
				continue
			}
			read[job] = true
			id := escrowtypes.ID(job).Bech32(jobstypes.JobHRP)
			slices, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
				return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{JobId: id, Pagination: page})
			}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
			if err != nil {
				return nil, err
			}
			for _, s := range slices {
				if s.Status != jobstypes.SLICE_STATUS_MATCHED {
					continue
				}
				node, err := nodestypes.ParseNodeID(s.NodeId)
				if err != nil {
					return nil, err
				}
				out = append(out, match.Resident{Job: job, Node: match.ID(node), Tasks: s.TaskCount})
			}
		}
	}
	return out, nil
}

// heeded are the jobs whose running tasks bear on where a slice may go.
func heeded(p match.Pending) []match.ID {
	var out []match.ID
	w := p.Wishes
	if w.Spread != match.ScopeNone || w.PerNode > 0 || w.PerOwner > 0 {
		out = append(out, p.Job)
	}
	for _, a := range w.Affinity {
		out = append(out, a.Job)
	}
	return out
}
