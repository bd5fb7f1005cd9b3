package link

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

const (
	execDomain = "fog/exec/v1"
	// MaxExecArgs, MaxExecBytes and MaxExecStdin bound a command: how many arguments, their bytes together, and what it is given to read.
	MaxExecArgs  = 64
	MaxExecBytes = 16 << 10
	MaxExecStdin = 64 << 10
	// ExecFresh is how long a signature is good, and by how much the clocks of owner and agent may differ.
	ExecFresh = 2 * time.Minute
)

var (
	// ErrNotSent means that a command has not gone to the agent, so that another oracle may be asked.
	ErrNotSent = errors.New("the command was not passed on")
	// ErrExecRefused means that a command is not one that the owner of the job wants run now.
	ErrExecRefused = errors.New("the command is refused")
)

// Exec is a command that a job's owner wants run in the container of a task.
type Exec struct {
	NodeID         string
	Slice, Attempt uint32
	Args           []string
	Stdin          []byte
	Nonce          [nonceSize]byte
	// Issued is the Unix second of the signature.
	Issued         int64
	Key, Signature []byte
}

// SigningBytes name the node, the attempt, the task and all of the command, so that no oracle can change one or send it elsewhere. Their first
// byte begins no sign document of a transaction.
func (e Exec) SigningBytes(jobID string, task uint32) []byte {
	b := appendText(appendText([]byte(execDomain), e.NodeID), jobID)
	for _, n := range []uint32{e.Slice, e.Attempt, task, uint32(len(e.Args))} { //nolint:gosec // a length, which the message bounds
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, arg := range e.Args {
		b = appendText(b, arg)
	}
	stdin := sha256.Sum256(e.Stdin)
	b = append(append(b, stdin[:]...), e.Nonce[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(e.Issued)) //nolint:gosec // the bits are signed, not the number
}

// Owner checks that a command is for an attempt on a node, is fresh, and is signed, and returns the address whose key has signed it.
func (e Exec) Owner(nodeID string, t TaskRef, now time.Time) ([]byte, error) {
	key := &secp256k1.PubKey{Key: e.Key}
	switch age := now.Sub(time.Unix(e.Issued, 0)); {
	case e.NodeID != nodeID || e.Slice != t.Slice || e.Attempt != t.Attempt:
		return nil, fmt.Errorf("%w: it is for attempt %d of slice %d on node %.80q", ErrExecRefused, e.Attempt, e.Slice, e.NodeID)
	case len(e.Key) != secp256k1.PubKeySize || !key.VerifySignature(e.SigningBytes(t.JobID, t.Task), e.Signature):
		return nil, fmt.Errorf("%w: it is not signed with the key that it names", ErrExecRefused)
	case age > ExecFresh || age < -ExecFresh:
		return nil, fmt.Errorf("%w: it was signed %s ago, by this machine's clock; send it anew, and check the clocks", ErrExecRefused, age.Round(time.Second))
	}
	return key.Address(), nil
}

func execToProto(e *Exec) *linkpb.Exec {
	if e == nil {
		return nil
	}
	return &linkpb.Exec{
		NodeId: e.NodeID, Slice: e.Slice, Attempt: e.Attempt, Args: e.Args, Stdin: e.Stdin, Nonce: e.Nonce[:], Issued: e.Issued,
		Key: e.Key, Signature: e.Signature,
	}
}

// execFromProto is nil for none.
func execFromProto(m *linkpb.Exec) (*Exec, error) {
	if m == nil {
		return nil, nil
	}
	size := 0
	for _, arg := range m.GetArgs() {
		size += len(arg)
	}
	switch n := len(m.GetArgs()); {
	case n == 0 || n > MaxExecArgs || size > MaxExecBytes || len(m.GetStdin()) > MaxExecStdin:
		return nil, malformed("a command of %d words with %d bytes and %d to read", n, size, len(m.GetStdin()))
	case len(m.GetNonce()) != nonceSize:
		return nil, malformed("a nonce of %d bytes with a command", len(m.GetNonce()))
	}
	return &Exec{
		NodeID: m.GetNodeId(), Slice: m.GetSlice(), Attempt: m.GetAttempt(), Args: m.GetArgs(), Stdin: m.GetStdin(), Nonce: [nonceSize]byte(m.GetNonce()),
		Issued: m.GetIssued(), Key: m.GetKey(), Signature: m.GetSignature(),
	}, nil
}

// exec passes a command on, once: whatever happens to it, it is not sent again.
func (o *ownerStream) exec() error {
	e, err := execFromProto(o.request.GetExec())
	if err != nil || e == nil {
		return status.Errorf(codes.InvalidArgument, "no good command: %v", err)
	}
	jobID, task := o.request.GetJobId(), o.request.GetTask()
	place, err := o.server.opts.Jobs.Place(o.ctx, jobID, task)
	switch {
	case errors.Is(err, ErrNoJob):
		return status.Error(codes.NotFound, err.Error())
	case err != nil:
		return status.Errorf(codes.Unavailable, "the chain cannot be asked where the task runs: %v", err)
	case place.Over || place != Place{NodeID: e.NodeID, Slice: e.Slice, Attempt: e.Attempt}:
		return status.Error(codes.NotFound, "the task does not run where the command is for")
	}
	session, ok := o.server.Session(place.NodeID)
	if !ok {
		return status.Errorf(codes.Unavailable, "the agent of node %s is not connected to this oracle", place.NodeID)
	}
	o.server.log.InfoContext(o.ctx, "owner runs a command", "job", jobID, "task", task, "node", place.NodeID, "words", len(e.Args))
	var hungUp error
	ask := WatchAsk{Ref: TaskRef{JobID: jobID, Slice: place.Slice, Attempt: place.Attempt, Task: task}, Kind: WatchExec, Exec: e}
	err = session.Watch(o.ctx, ask, func(p Piece) error {
		hungUp = o.send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Piece{Piece: pieceToProto(p)}})
		return hungUp
	})
	switch {
	case hungUp != nil:
		return hungUp
	case err == nil:
		return nil
	case o.ctx.Err() != nil:
		return status.Error(codes.Aborted, context.Cause(o.ctx).Error())
	case errors.Is(err, ErrNotWatchable), errors.Is(err, ErrNotShown):
		return status.Errorf(codes.PermissionDenied, "node %s: %v", place.NodeID, err)
	case errors.Is(err, ErrWatchFailed):
		return o.end(errors.New(strings.TrimPrefix(err.Error(), ErrWatchFailed.Error()+": ")))
	}
	return status.Errorf(codes.Aborted, "the command may have run: %v", err)
}
