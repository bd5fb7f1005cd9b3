package jobclient

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// MismatchError is a result in the registry that is not the one that the oracles attested. It must not be used.
type MismatchError struct {
	JobID          string
	Slice, Attempt uint32
	// Chain and Registry are Merkle roots of the tasks' digests.
	Chain, Registry [32]byte
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("slice %d (attempt %d) of %s: the registry's result has the Merkle root %x, the chain recorded %x; "+
		"it is not the result that the oracles attested and was not used: ask another registry, or dispute the result",
		e.Slice, e.Attempt, e.JobID, e.Registry, e.Chain)
}

// place is where the result of one task lies: the last slice that brought one.
type place struct {
	slice   int // index into the slices
	failure *jobstypes.TaskFailure
}

// placeTasks finds the slice whose outcome stands for each task. Slices come by number; one that repeats tasks has a higher number than
// the one before, and tasks that a node never began or could not run have no result there.
func placeTasks(slices []jobstypes.Slice, tasks uint32) []*place {
	places := make([]*place, tasks)
	for i, s := range slices {
		if s.Outcome == nil || uint64(s.FirstTask)+uint64(s.TaskCount) > uint64(tasks) {
			continue
		}
		failures := s.Outcome.Failures
		for task := s.FirstTask; task < s.FirstTask+s.TaskCount; task++ {
			at := &place{slice: i}
			if len(failures) > 0 && failures[0].Task == task {
				at.failure, failures = &failures[0], failures[1:]
			}
			if at.failure == nil || !at.failure.Reason.Requeued() {
				places[task] = at
			}
		}
	}
	return places
}

// verified reads the manifests of those slices that hold results, and returns the layers of their tasks, by index of the slice. A
// manifest whose root is not the one on chain is a *MismatchError.
func (c *Client) verified(ctx context.Context, slices []jobstypes.Slice, places []*place) ([][]client.TaskLayers, error) {
	layers := make([][]client.TaskLayers, len(slices))
	wanted := map[int]bool{}
	for _, p := range places {
		if p != nil {
			wanted[p.slice] = true
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range wanted {
		g.Go(func() error {
			var err error
			layers[i], err = c.sliceLayers(ctx, slices[i])
			return err
		})
	}
	return layers, g.Wait()
}

func (c *Client) sliceLayers(ctx context.Context, s jobstypes.Slice) ([]client.TaskLayers, error) {
	if len(s.Outcome.ResultRoot) != 32 {
		return nil, fmt.Errorf("slice %d of %s: the chain's result_root is %s, not 32 bytes", s.Number, s.JobId, hex.EncodeToString(s.Outcome.ResultRoot))
	}
	want := [32]byte(s.Outcome.ResultRoot)
	tasks := emptyLayers(s)
	if rootOf(tasks) == want { // nothing but empty results, for which nothing needs to have been pushed
		if full, err := c.manifestLayers(ctx, s); err == nil && rootOf(full) == want {
			tasks = full // with its logs
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return tasks, nil
	}
	tasks, err := c.manifestLayers(ctx, s)
	if err != nil {
		return nil, err
	}
	if got := rootOf(tasks); got != want {
		return nil, &MismatchError{JobID: s.JobId, Slice: s.Number, Attempt: s.Attempt, Chain: want, Registry: got}
	}
	return tasks, nil
}

func (c *Client) manifestLayers(ctx context.Context, s jobstypes.Slice) ([]client.TaskLayers, error) {
	tag := client.ResultTag(s.Number, s.Attempt)
	m, err := c.Registry.PullManifest(ctx, c.Registry.SliceRepo(s.JobId, s.Number, s.Attempt), tag)
	if errors.Is(err, client.ErrNotFound) {
		return nil, fmt.Errorf("slice %d of %s: its result (%s) is not in this registry: %w; give the --registry that the provider pushes to",
			s.Number, s.JobId, tag, err)
	}
	if err != nil {
		return nil, fmt.Errorf("slice %d of %s: %w", s.Number, s.JobId, err)
	}
	tasks, err := m.Tasks(s.FirstTask, s.TaskCount)
	if err != nil {
		return nil, fmt.Errorf("slice %d of %s: %w", s.Number, s.JobId, err)
	}
	return tasks, nil
}

// emptyLayers are the layers of tasks that left nothing.
func emptyLayers(s jobstypes.Slice) []client.TaskLayers {
	out := make([]client.TaskLayers, s.TaskCount)
	for i := range out {
		out[i] = client.TaskLayers{Task: s.FirstTask + uint32(i), Result: client.Descriptor{Digest: artifact.EmptyDigest}}
	}
	return out
}

func rootOf(tasks []client.TaskLayers) [32]byte {
	leaves := make([][32]byte, len(tasks))
	for i, t := range tasks {
		leaves[i] = t.Result.Digest
	}
	return artifact.MerkleRoot(leaves)
}
