package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// reserve before the deadline in which an oracle that could not measure says so.
const reserve = 20 * time.Second

// answerBenchmark measures the node with challenges. It waits for the agent to connect until shortly before the deadline.
func (w *Worker) answerBenchmark(ctx context.Context, round oracletypes.Round) error {
	id, _, err := nodestypes.DecodeBenchmarkSubject(round.Subject)
	if err != nil {
		return fmt.Errorf("%w: %w", errAbstain, err)
	}
	node, err := w.nodes.node(ctx, id.Bech32(nodestypes.NodeHRP))
	if err != nil {
		return err
	}
	if node.Owner == w.cfg.Operator {
		return fmt.Errorf("%w: the node is the operator's own", errAbstain)
	}
	end := time.Unix(round.Deadline, 0).Add(-min(reserve, time.Duration(round.Deadline-round.OpenedTime)*time.Second/4))
	var measured nodestypes.Benchmark
	if node.BenchmarkStart != 0 {
		measured, err = w.measureJoint(ctx, node, round, end)
	} else {
		measured, err = w.measure(ctx, node, round, end)
	}
	observation := nodestypes.BenchmarkObservation{}
	switch {
	case err == nil:
		observation.Measured = measured
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errAbstain):
		return err
	default:
		w.log.Warn("the node could not be measured", "node", node.Id, "error", err)
		observation.Unreachable = true
	}
	body, err := observation.Marshal()
	if err != nil {
		return err
	}
	w.log.Info("measured", "node", node.Id, "round", round.Id, "unreachable", observation.Unreachable,
		"cpu_single", measured.CpuSingle, "cpu_all", measured.CpuAll)
	// Measuring takes long; a restart of the agent may have ended the round, and a refused vote costs a part of the bond.
	if err := w.mayVote(ctx, round.Id); err != nil {
		return err
	}
	return settled(w.voter.cast(ctx, oracletypes.Vote{RoundId: round.Id, Body: body}, 0))
}

// measure carries the challenges out.
func (w *Worker) measure(ctx context.Context, node nodestypes.Node, round oracletypes.Round, end time.Time) (nodestypes.Benchmark, error) {
	declared := declaredBy(node, round, fillShare)
	var err error
	if declared.FillSeed, err = w.fillSeed(ctx, round); err != nil {
		return nodestypes.Benchmark{}, err
	}
	return w.measureWith(ctx, node, end, func(ctx context.Context, s *link.Session) (challenge.Measurement, error) {
		return s.Measure(ctx, declared)
	})
}

// ranks are the operators of a round's set.
func (w *Worker) ranks(ctx context.Context, round oracletypes.Round) ([]string, error) {
	resp, err := oracletypes.NewQueryClient(w.cfg.Chain.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: round.Id})
	if err != nil {
		return nil, err
	}
	return resp.Ranks, nil
}

// fillSeed is what the memory of the round's node is filled from: with the hash of the block in which the round was opened, so nobody knew it before.
func (w *Worker) fillSeed(ctx context.Context, round oracletypes.Round) ([]byte, error) {
	hash, err := w.cfg.Chain.BlockHash(ctx, round.OpenedHeight)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "fog/benchmark/v1\x00%x\x00%x", hash, round.Subject))
	return sum[:], nil
}

// declaredBy a node, with as much memory to fill as its cores fill in a share of the round's time, in percent: the first oracle has it
// filled, the others find it there.
func declaredBy(node nodestypes.Node, round oracletypes.Round, share int64) challenge.Declared {
	d := challenge.Declared{
		Cores: int(node.Hardware.Cores), CPUSingle: node.Declared.CpuSingle, CPUAll: node.Declared.CpuAll,
		MemoryMiB: node.Declared.MemoryMib, MemoryBandwidthMiB: node.Declared.MemoryBandwidth,
		DiskReadMiB: node.Declared.DiskRead, StorageMiB: node.Declared.StorageMib,
	}
	most := time.Duration(round.Deadline-round.OpenedTime) * time.Second * time.Duration(share) / 100
	d.FillMiB = challenge.MemoryFill(d, node.Reserved.MemoryMib, most)
	return d
}

// Shares of the round's time for filling memory, in percent; in a joint benchmark the turns take most of it.
const fillShare, jointFillShare = 40, 20

var errTimeOver = errors.New("the round's time is over")

// measureWith carries challenges out, again after a broken link, until the end is near.
func (w *Worker) measureWith(
	ctx context.Context, node nodestypes.Node, end time.Time, measure func(context.Context, *link.Session) (challenge.Measurement, error),
) (nodestypes.Benchmark, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, end, errTimeOver)
	defer cancel()
	var last error
	for {
		if session, ok := w.server.Session(node.Id); ok {
			m, err := measure(ctx, session)
			if err == nil {
				return nodestypes.Benchmark{
					CpuSingle: m.CPUSingle, CpuAll: m.CPUAll, MemoryMib: m.MemoryMiB, MemoryBandwidth: m.MemoryBandwidthMiB,
					DiskRead: m.DiskReadMiB, StorageMib: m.StorageMiB, RttUs: m.RTTMicros, BandwidthKbit: m.BandwidthKbit,
				}, nil
			}
			last = err
			if errors.Is(err, challenge.ErrWrongAnswer) { // a cheat is as good as absent
				return nodestypes.Benchmark{}, err
			}
		} else {
			last = link.ErrGone
		}
		select {
		case <-ctx.Done():
			return nodestypes.Benchmark{}, fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
