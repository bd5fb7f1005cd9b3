package jobclient

import (
	"context"
	"fmt"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/oracle"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Exclusion is a number of nodes that cannot take a task, and why.
type Exclusion struct {
	Reason string `json:"reason"`
	Nodes  uint32 `json:"nodes"`
}

// Waiting is a slice without a node.
type Waiting struct {
	Slice     uint32 `json:"slice"`
	FirstTask uint32 `json:"first_task"`
	Tasks     uint32 `json:"tasks"`
	// Nodes that are active; Able of them could take a task now, so that the slice only waits for the next match.
	Nodes    int         `json:"nodes"`
	Able     int         `json:"able"`
	Excluded []Exclusion `json:"excluded"`
}

// Explain says why slices of a job wait: how many of the active nodes each constraint excludes, as the oracles see it at the newest
// height. Slices behind the first two thousand of the queue are not looked at.
func Explain(ctx context.Context, c *chain.Client, jobID string) ([]Waiting, error) {
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, jobID)
	if err != nil {
		return nil, err
	}
	height, err := c.Height(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, version, err := oracle.Snapshot(ctx, c, height)
	if err != nil {
		return nil, err
	}
	policy, known := match.Named(version)
	if !known {
		return nil, fmt.Errorf("this release does not know match policy %q; upgrade fog", version)
	}
	return explain(policy, snapshot, match.ID(id))
}

func explain(policy match.Learned, snapshot match.Snapshot, job match.ID) ([]Waiting, error) {
	var out []Waiting
	for _, p := range snapshot.Pending {
		if p.Job != job {
			continue
		}
		counts, err := policy.Explain(snapshot, p)
		if err != nil {
			return nil, err
		}
		w := Waiting{Slice: p.Slice, FirstTask: p.First, Tasks: p.Count, Nodes: len(snapshot.Nodes), Able: len(snapshot.Nodes)}
		for _, r := range counts {
			w.Excluded = append(w.Excluded, Exclusion{Reason: r.Reason.String(), Nodes: r.Nodes})
			w.Able -= int(r.Nodes)
		}
		out = append(out, w)
	}
	return out, nil
}
