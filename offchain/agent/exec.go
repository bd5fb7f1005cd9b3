package agent

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const (
	// execTime and execOutput bound one command.
	execTime   = 5 * time.Minute
	execOutput = 4 << 20
)

var (
	errExecTime   = fmt.Errorf("it ran longer than %s, and may still run until the container ends", execTime)
	errExecOutput = fmt.Errorf("it wrote more than %d bytes, and may still run until the container ends", execOutput)
)

// execSource is the source of an agent that lets owners run commands.
type execSource struct {
	source
	executor dispatch.Executor
	audit    *audit
}

// Exec implements link.ExecSource. It trusts no oracle: the command must be signed, for this attempt on this node, by the owner that the chain names, lately
// and for the first time. Each use is written down before it begins.
func (s execSource) Exec(ctx context.Context, t link.TaskRef, e link.Exec, emit func(uint64, []byte) error) (code uint32, err error) {
	entry := auditEntry{Job: t.JobID, Slice: t.Slice, Attempt: t.Attempt, Task: t.Task, Args: e.Args, StdinBytes: len(e.Stdin), Nonce: hex.EncodeToString(e.Nonce[:])}
	owner, err := e.Owner(s.agent.nodeID, t, time.Now())
	var id dispatch.AttemptID
	if err == nil {
		entry.Owner = hex.EncodeToString(owner)
		id, err = s.attempt(t)
	}
	if err == nil {
		err = s.owns(ctx, t.JobID, owner)
	}
	if err != nil {
		entry.Refused = err.Error()
		return 0, errors.Join(err, s.audit.refuse(entry))
	}
	if err := s.audit.begin(entry); err != nil {
		return 0, err
	}
	s.agent.log.Warn("an owner runs a command", "job", t.JobID, "task", t.Task, "owner", entry.Owner, "args", fmt.Sprintf("%.200q", e.Args))
	s.agent.noteExec(id, t.Task, e.Args)
	ctx, cancel := context.WithTimeoutCause(ctx, execTime, errExecTime)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := &execWriter{emit: emit, stop: stop}
	code, err = s.executor.Exec(ctx, id, t.Task, dispatch.Command{Args: e.Args, Stdin: e.Stdin, Out: out})
	entry.ExitCode, entry.OutputBytes = &code, out.sent
	if err != nil {
		entry.Failed, entry.ExitCode = err.Error(), nil
	}
	return code, errors.Join(err, s.audit.end(entry))
}

// owns asks the chain who owns a job.
func (s execSource) owns(ctx context.Context, job string, address []byte) error {
	c := s.agent.cfg.Chain
	resp, err := jobstypes.NewQueryClient(c.Latest()).Job(ctx, &jobstypes.QueryJobRequest{Id: job})
	if err != nil {
		return fmt.Errorf("the job's owner cannot be looked up: %w", err)
	}
	owner, err := c.Codec().Accounts().StringToBytes(resp.Job.Owner)
	if err != nil {
		return err
	}
	if !bytes.Equal(owner, address) {
		return fmt.Errorf("%w: it is not signed by the owner of %s", link.ErrExecRefused, job)
	}
	return nil
}

// noteExec writes into the attempt's events that a command was run.
func (a *Agent) noteExec(id dispatch.AttemptID, task uint32, args []string) {
	a.mu.Lock()
	r := a.runs[id]
	a.mu.Unlock()
	if r != nil {
		r.note(dispatch.Event{Event: "exec", Task: &task, Message: fmt.Sprintf("%.200q", args)})
	}
}

// execWriter passes output on, and ends the command's reading when there is too much.
type execWriter struct {
	emit func(uint64, []byte) error
	stop context.CancelCauseFunc
	sent uint64
}

func (w *execWriter) Write(p []byte) (int, error) {
	if w.sent+uint64(len(p)) > execOutput {
		w.stop(errExecOutput)
		return 0, errExecOutput
	}
	if err := w.emit(w.sent, p); err != nil {
		return 0, err
	}
	w.sent += uint64(len(p))
	return len(p), nil
}
