package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// oracle is a real end of a link that judges reports as offchain/oracle does.
type oracle struct {
	w    *world
	name string
	key  ed25519.PrivateKey
	addr string
	stop func()
	link *link.Server
	// verdict, if set, answers in place of the judgement.
	verdict atomic.Pointer[func(link.Report) error]
	reports atomic.Int32 // received, with repetitions
	// offers, if set, tells an agent what was offered.
	offers func(s *link.Session, from uint64)
	// jobs, if set, lets owners watch.
	jobs link.Jobs
}

var examiner = sync.OnceValues(challenge.NewExaminer)

// oracle starts an oracle and puts it on chain.
func (w *world) oracle(name string, change ...func(*oracle)) *oracle {
	w.t.Helper()
	o := &oracle{w: w, name: "fog1" + name, key: seededKey(name)}
	for _, c := range change {
		c(o)
	}
	o.serve("127.0.0.1:0")
	w.t.Cleanup(func() { o.stop() })
	w.change(func() {
		w.oracles = append(w.oracles, oracletypes.Oracle{
			Operator: o.name, Admitted: true, Endpoint: o.addr, TransportKey: o.key.Public().(ed25519.PublicKey),
		})
	})
	return o
}

// serve listens, after stop at a new or the same address.
func (o *oracle) serve(addr string) {
	o.w.t.Helper()
	e, err := examiner()
	require.NoError(o.w.t, err)
	server, err := link.NewServer(link.ServerOptions{
		Key: o.key, OracleID: o.name, Registry: o, Examiner: e, Jobs: o.jobs, LookAgain: 20 * time.Millisecond,
		Handlers: link.Handlers{Report: o.report, Progress: o.progress, Offers: o.offers},
	})
	require.NoError(o.w.t, err)
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	require.NoError(o.w.t, err)
	o.addr, o.link = lis.Addr().String(), server
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	o.stop = sync.OnceFunc(func() {
		server.Close()
		require.NoError(o.w.t, <-served)
	})
}

func (o *oracle) NodeByAgentKey(_ context.Context, key ed25519.PublicKey) (string, bool, error) {
	return testNode, key.Equal(agentKey.Public()), nil
}

func (o *oracle) answer(verdict func(link.Report) error) { o.verdict.Store(&verdict) }

func (o *oracle) report(ctx context.Context, nodeID string, r link.SignedReport) error {
	o.reports.Add(1)
	if verdict := o.verdict.Load(); verdict != nil {
		return (*verdict)(r.Report)
	}
	return o.w.judge(ctx, nodeID, r.Report)
}

func (o *oracle) progress(_ string, p link.Progress) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.w.progress = append(o.w.progress, p)
}

var errNotMatched = errors.New("the slice is not running")

// judge checks a report and lets it decide the attempt.
func (w *world) judge(ctx context.Context, nodeID string, r link.Report) error {
	leaves := make([][32]byte, len(r.Tasks))
	for i := range leaves {
		leaves[i] = artifact.EmptyDigest
	}
	if r.ManifestDigest != [32]byte{} {
		m, err := w.push.PullManifest(ctx, client.ResultRepo(r.JobID), artifact.Digest(r.ManifestDigest).String())
		if err != nil {
			return err
		}
		layers, err := m.Tasks(r.Tasks[0].Task, uint32(len(r.Tasks)))
		if err != nil {
			return errors.Join(link.ErrRefused, err)
		}
		for i, l := range layers {
			leaves[i] = l.Result.Digest
		}
	}
	if artifact.MerkleRoot(leaves) != r.ResultRoot {
		return fmt.Errorf("%w: wrong root", link.ErrRefused)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slice(r.JobID, r.Slice)
	if s == nil || s.NodeId != nodeID || s.Attempt != r.Attempt || int(s.TaskCount) != len(r.Tasks) || s.FirstTask != r.Tasks[0].Task {
		return fmt.Errorf("%w: not the slice's", link.ErrRefused)
	}
	id := dispatch.AttemptID{Job: r.JobID, Slice: r.Slice, Attempt: r.Attempt}
	if s.Status == jobstypes.SLICE_STATUS_MATCHED {
		if _, twice := w.decided[id]; twice {
			return errNotMatched
		}
		s.Status, s.ReportedTime = jobstypes.SLICE_STATUS_REPORTED, time.Now().Unix()
		w.decided[id] = r
		w.node.Advance()
	}
	return nil
}
