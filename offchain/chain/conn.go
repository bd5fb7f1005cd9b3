package chain

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	grpctypes "github.com/cosmos/cosmos-sdk/types/grpc"
)

// conn sends queries at one height (0 for the latest) and maps what comes back to our errors.
type conn struct {
	client *Client
	height int64
}

var _ grpc.ClientConnInterface = conn{}

// Invoke sends one query; a node that does not answer is asked again until the client's patience ends.
func (q conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	var (
		pause backoff
		start = time.Now()
	)
	for {
		err := q.once(ctx, q.height, method, args, reply, opts)
		if q.height == 0 && status.Code(err) == codes.Unknown {
			// While a block is being committed the node refuses queries without a height, with an error that has no
			// code of its own. The same query with the height written out is answered; a real error comes back again.
			height, heightErr := q.client.Height(ctx)
			if heightErr == nil && height > 0 {
				err = q.once(ctx, height, method, args, reply, opts)
			}
		}
		if err == nil || !errors.Is(err, ErrUnavailable) || time.Since(start) >= q.client.patience {
			return err
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

func (q conn) once(ctx context.Context, height int64, method string, args, reply any, opts []grpc.CallOption) error {
	call, cancel := context.WithTimeout(ctx, q.client.callTimeout)
	defer cancel()
	if height > 0 {
		call = metadata.AppendToOutgoingContext(call, grpctypes.GRPCBlockHeightHeader, strconv.FormatInt(height, 10))
	}
	err := q.client.grpc.Invoke(call, method, args, reply, opts...)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := status.Convert(err)
	code := s.Code()
	if code == codes.DeadlineExceeded {
		code = codes.Unavailable // our own limit on one call: the node hangs
	}
	return &QueryError{Method: method, Code: code, Message: s.Message()}
}

// NewStream opens a stream; the modules have none, so it only adds the height.
func (q conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if q.height > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, grpctypes.GRPCBlockHeightHeader, strconv.FormatInt(q.height, 10))
	}
	return q.client.grpc.NewStream(ctx, desc, method, opts...)
}
