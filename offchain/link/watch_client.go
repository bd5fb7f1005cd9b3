package link

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// OwnerKey signs with the key of a job's owner.
type OwnerKey interface {
	// Key is the compressed secp256k1 public key.
	Key() []byte
	Sign(msg []byte) ([]byte, error)
}

// OracleAddress is how the chain says that an oracle is reached.
type OracleAddress struct {
	ID, Endpoint string
	Key          ed25519.PublicKey
}

// Watcher watches one task of a job for its owner, over any number of connections: each goes on where the last one ended.
type Watcher struct {
	JobID string
	Task  uint32
	Kind  WatchKind
	// Once ends a watch of events when all that there are have been sent.
	Once bool
	// Exec is the signed command of WatchExec, which is only ever sent once: see ErrNotSent.
	Exec  *Exec
	Owner OwnerKey
	// Piece gets each piece, Source before them where they come from, and Note what is waited for; the latter may be nil.
	Piece  func(Piece) error
	Source func(Place)
	Note   func(string)

	source Place
	offset uint64
}

// ErrMayNotWatch means that no oracle will ever show the task to this owner; it is wrapped by the oracle's reason.
var ErrMayNotWatch = errors.New("refused")

// errTaker is why the taker of pieces wants no more.
type errTaker struct{ error }

func (e errTaker) Unwrap() error { return e.error }

// Watch asks one oracle and returns nil when the task has ended. ErrMayNotWatch, ErrNotShown, errors of Piece and those of the context are
// final; after another error, call it again with this or another oracle.
func (w *Watcher) Watch(ctx context.Context, oracle OracleAddress) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	id, err := newIdentity(key)
	if err != nil {
		return err
	}
	var refused pinError
	conn, err := grpc.NewClient("passthrough:///"+oracle.Endpoint,
		grpc.WithTransportCredentials(credentials.NewTLS(id.clientTLS(oracle.Key, &refused))),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: connectTimeout * 2, Timeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageSize)),
		grpc.WithMaxHeaderListSize(8<<10), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
	)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	stream, err := linkpb.NewWatchClient(conn).Watch(ctx)
	if err == nil {
		err = w.talk(stream, oracle.ID)
	}
	var taker errTaker
	switch pin := refused.load(); {
	case errors.As(err, &taker):
		return taker.error
	case pin != nil:
		return pin
	}
	switch status.Code(err) {
	case codes.ResourceExhausted, codes.Unavailable:
		if w.Kind == WatchExec {
			return fmt.Errorf("%w: %s", ErrNotSent, printable(status.Convert(err).Message()))
		}
	case codes.PermissionDenied, codes.Unauthenticated, codes.NotFound, codes.InvalidArgument:
		return fmt.Errorf("%w: %s", ErrMayNotWatch, printable(status.Convert(err).Message()))
	case codes.FailedPrecondition:
		return fmt.Errorf("%w: %s", ErrNotShown, printable(status.Convert(err).Message()))
	case codes.Unimplemented:
		return errors.New("the oracle runs an older release, which shows nothing to owners")
	}
	return err
}

// talk introduces the owner and takes what comes.
func (w *Watcher) talk(stream linkpb.Watch_WatchClient, oracleID string) error {
	request := &linkpb.WatchRequest{
		Protocol: protocolVersion, JobId: w.JobID, Task: w.Task, Kind: linkpb.WatchKind(w.Kind), Offset: w.offset, //nolint:gosec // a number of an enum; unknown ones are refused
		Once: w.Once, Exec: execToProto(w.Exec),
		Source: &linkpb.WatchSource{NodeId: w.source.NodeID, Slice: w.source.Slice, Attempt: w.source.Attempt},
	}
	// An error of Send says less than that of Recv, which follows.
	sendErr := stream.Send(&linkpb.OwnerMessage{Body: &linkpb.OwnerMessage_Request{Request: request}})
	msg, err := stream.Recv()
	if err != nil {
		return err
	}
	nonce := msg.GetNonce().GetNonce()
	if err := ignoreEOF(sendErr); err != nil || len(nonce) != nonceSize {
		return errors.Join(err, malformed("the oracle did not begin with a nonce"))
	}
	signature, err := w.Owner.Sign(watchSigningBytes(oracleID, w.JobID, w.Task, w.Kind, nonce))
	if err != nil {
		return errTaker{fmt.Errorf("sign the request: %w", err)}
	}
	proof := &linkpb.WatchProof{Key: w.Owner.Key(), Signature: signature}
	sendErr = ignoreEOF(stream.Send(&linkpb.OwnerMessage{Body: &linkpb.OwnerMessage_Proof{Proof: proof}}))
	for {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		if sendErr != nil {
			return sendErr
		}
		if end, err := w.take(msg); end || err != nil {
			return err
		}
	}
}

func (w *Watcher) take(msg *linkpb.WatchMessage) (end bool, err error) {
	switch body := msg.GetBody().(type) {
	case *linkpb.WatchMessage_Note:
		if w.Note != nil {
			w.Note(printable(body.Note))
		}
	case *linkpb.WatchMessage_Source:
		from := Place{NodeID: printable(body.Source.GetNodeId()), Slice: body.Source.GetSlice(), Attempt: body.Source.GetAttempt()}
		if from != w.source {
			w.source, w.offset = from, 0
			if w.Source != nil {
				w.Source(from)
			}
		}
	case *linkpb.WatchMessage_Piece:
		piece, end, err := pieceFromProto(body.Piece, w.Kind)
		if err != nil || end && piece.Exit == nil {
			return end, err
		}
		if err := w.Piece(piece); err != nil {
			return false, errTaker{err}
		}
		w.offset = piece.Offset + uint64(len(piece.Log))
		return end, nil
	default:
		return false, malformed("a message that an oracle does not send to owners now")
	}
	return false, nil
}
