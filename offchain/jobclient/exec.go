package jobclient

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// ErrNotRunning means that a task is on no node now.
var ErrNotRunning = errors.New("the task runs on no node now")

// Command is what a job's owner wants run in the container of a task that runs.
type Command struct {
	JobID string
	Task  uint32
	Args  []string
	Stdin []byte
	// Owner is the key of the job's owner, which signs the command for its attempt and its node.
	Owner chain.Signer
	// Output gets standard output and error as they come.
	Output func([]byte) error
}

// Exec has a command run and returns its exit code. It goes to the node through one oracle, once; others are only asked for what the ones before did not pass on.
func (c *Client) Exec(ctx context.Context, cmd Command) (uint32, error) {
	e, err := c.command(ctx, cmd)
	if err != nil {
		return 0, err
	}
	oracles, err := c.watchable(ctx)
	if err != nil {
		return 0, err
	}
	if len(oracles) == 0 {
		return 0, errors.New("no oracle on chain says where it is reached")
	}
	var exit *uint32
	watcher := &link.Watcher{
		JobID: cmd.JobID, Task: cmd.Task, Kind: link.WatchExec, Exec: &e, Owner: ownerKey{cmd.Owner},
		Piece: func(p link.Piece) error {
			if p.Exit != nil {
				exit = p.Exit
				return nil
			}
			return cmd.Output(p.Log)
		},
	}
	first := mathrand.N(len(oracles)) //nolint:gosec // so that owners spread, which takes no secret
	var failed error
	for i := range oracles {
		o := oracles[(first+i)%len(oracles)]
		err := watcher.Watch(ctx, o)
		switch {
		case err == nil && exit != nil:
			return *exit, nil
		case err == nil:
			return 0, errors.New("the command ended and nobody said how")
		case !errors.Is(err, link.ErrNotSent):
			return 0, fmt.Errorf("oracle %s: %w", o.ID, err)
		}
		failed = errors.Join(failed, fmt.Errorf("oracle %s: %w", o.ID, err))
	}
	return 0, failed
}

// command signs a command for the place where the chain has the task.
func (c *Client) command(ctx context.Context, cmd Command) (link.Exec, error) {
	slices, err := c.Slices(ctx, cmd.JobID)
	if err != nil {
		return link.Exec{}, err
	}
	for _, s := range slices {
		if s.Status != jobstypes.SLICE_STATUS_MATCHED || cmd.Task < s.FirstTask || cmd.Task-s.FirstTask >= s.TaskCount {
			continue
		}
		e := link.Exec{
			NodeID: s.NodeId, Slice: s.Number, Attempt: s.Attempt, Args: cmd.Args, Stdin: cmd.Stdin, Issued: time.Now().Unix(), Key: cmd.Owner.PubKey().Bytes(),
		}
		rand.Read(e.Nonce[:]) // never fails: it ends the program instead
		e.Signature, err = cmd.Owner.Sign(e.SigningBytes(cmd.JobID, cmd.Task))
		return e, err
	}
	return link.Exec{}, fmt.Errorf("task %d of %s: %w", cmd.Task, cmd.JobID, ErrNotRunning)
}
