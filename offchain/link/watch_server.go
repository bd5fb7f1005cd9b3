package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// Jobs says what the chain says of jobs.
type Jobs interface {
	// Owner is the address of a job's owner, or ErrNoJob.
	Owner(ctx context.Context, jobID string) ([]byte, error)
	// Place is where a task of a job runs, or ErrNoJob.
	Place(ctx context.Context, jobID string, task uint32) (Place, error)
}

// ErrNoJob means that the chain has no such job, or the job no such task.
var ErrNoJob = errors.New("the chain has no such job or task")

// Place is where a task is.
type Place struct {
	// NodeID is empty while the task waits for a node.
	NodeID         string
	Slice, Attempt uint32
	// Over says that the task has ended and will not run any more.
	Over bool
}

// maxOwners is how many owners watch at a time.
const maxOwners = 64

// watchService serves the owners of jobs.
type watchService struct {
	server *Server
	busy   chan struct{}
}

// Watch serves one owner; what it returns is the reason that the owner reads.
func (v *watchService) Watch(stream linkpb.Watch_WatchServer) error {
	select {
	case v.busy <- struct{}{}:
		defer func() { <-v.busy }()
	default:
		return status.Error(codes.ResourceExhausted, "this oracle serves too many owners now; try again, or ask another oracle")
	}
	ctx, cancel := context.WithTimeoutCause(stream.Context(), v.server.opts.WatchTime, errWatchTime)
	defer cancel()
	o := &ownerStream{server: v.server, stream: stream, ctx: ctx}
	if err := o.admit(); err != nil {
		return err
	}
	v.server.log.InfoContext(ctx, "owner watches", "job", o.request.GetJobId(), "task", o.request.GetTask(), "kind", o.request.GetKind())
	if WatchKind(o.request.GetKind()) == WatchExec { //nolint:gosec // a number of an enum; unknown ones are refused
		return o.exec()
	}
	err := o.serve()
	switch {
	case errors.Is(err, errWatchTime):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, ErrNoJob):
		return status.Error(codes.NotFound, err.Error())
	}
	return err
}

var errWatchTime = errors.New("the time of one watch is over; ask again from where this one ended")

// ownerStream is one owner who watches.
type ownerStream struct {
	server  *Server
	stream  linkpb.Watch_WatchServer
	ctx     context.Context
	request *linkpb.WatchRequest
	// source and offset are how far the owner has been sent.
	source Place
	offset uint64
	noted  string
	// absent is since when the agent is not connected; zero if it is.
	absent time.Time
}

// recv waits for a message as long as for a hello.
func (o *ownerStream) recv() (*linkpb.OwnerMessage, error) {
	type received struct {
		msg *linkpb.OwnerMessage
		err error
	}
	got := make(chan received, 1)
	// Recv has no deadline of its own; it ends when Watch returns.
	go func() {
		msg, err := o.stream.Recv()
		got <- received{msg, err}
	}()
	timer := time.NewTimer(o.server.opts.HelloTimeout)
	defer timer.Stop()
	select {
	case r := <-got:
		return r.msg, r.err
	case <-timer.C:
		return nil, status.Errorf(codes.DeadlineExceeded, "nothing was said within %s", o.server.opts.HelloTimeout)
	}
}

// admit lets in who has the key of the job's owner, and nobody else.
func (o *ownerStream) admit() error {
	msg, err := o.recv()
	if err != nil {
		return err
	}
	r := msg.GetRequest()
	kind := WatchKind(r.GetKind()) //nolint:gosec // a number of an enum; unknown ones are refused
	switch {
	case r.GetProtocol() != protocolVersion:
		return status.Errorf(codes.InvalidArgument, "the first message must be a request in protocol %d", protocolVersion)
	case !kind.shown():
		return status.Errorf(codes.InvalidArgument, "kind %d cannot be watched", kind)
	}
	if err := checkID("job_id", r.GetJobId()); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails: it ends the program instead
	if err := o.stream.Send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Nonce{Nonce: &linkpb.WatchNonce{Nonce: nonce[:]}}}); err != nil {
		return err
	}
	if msg, err = o.recv(); err != nil {
		return err
	}
	key := &secp256k1.PubKey{Key: msg.GetProof().GetKey()}
	signed := watchSigningBytes(o.server.opts.OracleID, r.GetJobId(), r.GetTask(), kind, nonce[:])
	if len(key.Key) != secp256k1.PubKeySize || !key.VerifySignature(signed, msg.GetProof().GetSignature()) {
		return status.Error(codes.Unauthenticated, "the request is not signed with the key that it names")
	}
	owner, err := o.server.opts.Jobs.Owner(o.ctx, r.GetJobId())
	switch {
	case errors.Is(err, ErrNoJob):
		return status.Error(codes.NotFound, err.Error())
	case err != nil:
		return status.Errorf(codes.Unavailable, "the oracle could not look the job up: %v", err)
	case !bytes.Equal(owner, key.Address()):
		return status.Errorf(codes.PermissionDenied, "only the owner of %s may watch it", r.GetJobId())
	}
	o.request, o.offset = r, r.GetOffset()
	o.source = Place{NodeID: r.GetSource().GetNodeId(), Slice: r.GetSource().GetSlice(), Attempt: r.GetSource().GetAttempt()}
	return nil
}

func (o *ownerStream) send(m *linkpb.WatchMessage) error { return o.stream.Send(m) }

func (o *ownerStream) end(failed error) error {
	return o.send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Piece{Piece: endToProto(failed)}})
}

// note tells what is waited for, once for each reason.
func (o *ownerStream) note(format string, args ...any) error {
	text := printable(fmt.Sprintf(format, args...))
	if text == o.noted {
		return nil
	}
	o.noted = text
	return o.send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Note{Note: text}})
}

// serve goes with the task from node to node, and over each loss of its agent, until it has ended.
func (o *ownerStream) serve() error {
	jobID, task := o.request.GetJobId(), o.request.GetTask()
	for {
		place, err := o.server.opts.Jobs.Place(o.ctx, jobID, task)
		switch {
		case errors.Is(err, ErrNoJob):
			return err
		case o.ctx.Err() != nil:
			return context.Cause(o.ctx)
		case err != nil:
			err = o.note("the chain cannot be asked where the task runs: %v", err)
		case place.Over:
			return o.end(nil)
		case place.NodeID == "":
			err = o.note("the task waits for a node")
		default:
			var ended bool
			if ended, err = o.watch(place); ended {
				return err
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(o.server.opts.LookAgain):
		case <-o.ctx.Done():
			return context.Cause(o.ctx)
		}
	}
}

// Local is a place whose tasks no agent shows.
type Local struct {
	// Served says that it is one.
	Served bool
	// Source shows them; nil if this oracle cannot.
	Source Source
}

// display is how the tasks at a place are shown, nil if they cannot be now.
type display func(ctx context.Context, ask WatchAsk, take func(Piece) error) error

func (o *ownerStream) display(place Place, ref TaskRef) (display, string, error) {
	if o.server.opts.Local != nil {
		local, err := o.server.opts.Local(o.ctx, ref)
		switch {
		case err != nil:
			return nil, "", err
		case local.Served && local.Source == nil:
			return nil, "this oracle cannot reach where the tasks of node " + place.NodeID + " run", nil
		case local.Served:
			pace := rate.NewLimiter(watchBytes, 2*MaxLogPiece)
			return func(ctx context.Context, ask WatchAsk, take func(Piece) error) error {
				_, err := ask.pass(ctx, local.Source, o.server.opts.StatsEach, func(ctx context.Context, p Piece) error {
					return errors.Join(pace.WaitN(ctx, max(len(p.Log), leastPiece)), take(p))
				})
				return err
			}, "", nil
		}
	}
	session, ok := o.server.Session(place.NodeID)
	if !ok {
		return nil, "the agent of node " + place.NodeID + " is not connected to this oracle", nil
	}
	return session.Watch, "", nil
}

// watch passes on what is shown at a place. Unless it has ended, the place is to be looked up again.
func (o *ownerStream) watch(place Place) (ended bool, err error) {
	ref := TaskRef{JobID: o.request.GetJobId(), Slice: place.Slice, Attempt: place.Attempt, Task: o.request.GetTask()}
	show, missing, err := o.display(place, ref)
	if err != nil {
		return false, o.note("it cannot be found out who shows the task: %v", err)
	}
	if show == nil {
		if o.absent.IsZero() {
			o.absent = time.Now()
		}
		if time.Since(o.absent) > o.server.opts.Absence {
			return true, status.Errorf(codes.Unavailable, "%s; ask another one", missing)
		}
		return false, o.note("%s", missing)
	}
	o.absent = time.Time{}
	if place != o.source {
		o.source, o.offset = place, 0
	}
	err = o.send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Source{Source: &linkpb.WatchSource{
		NodeId: place.NodeID, Slice: place.Slice, Attempt: place.Attempt,
	}}})
	if err != nil {
		return true, err
	}
	var hungUp error
	ctx, cancel := context.WithCancelCause(o.ctx)
	defer cancel(nil)
	go o.follow(ctx, place, cancel)
	ask := WatchAsk{Ref: ref, Kind: WatchKind(o.request.GetKind()), From: o.offset, Once: o.request.GetOnce()} //nolint:gosec // a number of an enum; unknown ones are refused
	err = show(ctx, ask, func(p Piece) error {
		hungUp = o.send(&linkpb.WatchMessage{Body: &linkpb.WatchMessage_Piece{Piece: pieceToProto(p)}})
		o.offset, o.noted = p.Offset+uint64(len(p.Log)), ""
		return hungUp
	})
	switch {
	case hungUp != nil:
		return true, hungUp
	case err == nil && ask.Once:
		return true, o.end(nil)
	case err == nil:
		return o.over(place)
	case o.ctx.Err() != nil:
		return true, context.Cause(o.ctx)
	case errors.Is(err, errMoved), errors.Is(context.Cause(ctx), errMoved):
		return false, nil
	case errors.Is(err, ErrNotShown):
		return true, status.Errorf(codes.FailedPrecondition, "node %s: %v", place.NodeID, err)
	}
	return false, o.note("nothing comes from node %s: %v", place.NodeID, err)
}

// over ends the watch, unless the chain has the task elsewhere meanwhile, as of a service that moved.
func (o *ownerStream) over(place Place) (ended bool, err error) {
	now, err := o.server.opts.Jobs.Place(o.ctx, o.request.GetJobId(), o.request.GetTask())
	if err == nil && !now.Over && now != place {
		return false, nil
	}
	return true, o.end(nil)
}

var errMoved = errors.New("the task runs elsewhere")

// follow breaks a watch off when the chain has its task elsewhere.
func (o *ownerStream) follow(ctx context.Context, place Place, moved context.CancelCauseFunc) {
	ticker := time.NewTicker(5 * o.server.opts.LookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := o.server.opts.Jobs.Place(ctx, o.request.GetJobId(), o.request.GetTask())
		if err == nil && !now.Over && now != place {
			moved(errMoved)
			return
		}
	}
}
