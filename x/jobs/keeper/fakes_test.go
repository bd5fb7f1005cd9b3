package keeper_test

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/codec"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var errNoNode = errors.New("no such node")

// testNodes keeps nodes in a store of its own, so that what is reserved is rolled back with everything else.
type testNodes struct {
	byID    collections.Map[escrowtypes.ID, nodestypes.Node]
	byIndex collections.Map[uint32, []byte]
}

const testGrace = 120

func newTestNodes(e *fixture.Env) testNodes {
	sb := collections.NewSchemaBuilder(e.StoreService(nodesStore))
	n := testNodes{
		byID:    collections.NewMap(sb, collections.NewPrefix(0), "nodes", escrowtypes.IDKey, codec.CollValue[nodestypes.Node](e.Codec)),
		byIndex: collections.NewMap(sb, collections.NewPrefix(1), "by_index", collections.Uint32Key, collections.BytesValue),
	}
	if _, err := sb.Build(); err != nil {
		panic(err)
	}
	return n
}

func (n testNodes) put(ctx context.Context, node nodestypes.Node) {
	id, err := nodestypes.ParseNodeID(node.Id)
	if err != nil {
		panic(err)
	}
	if err := n.byID.Set(ctx, id, node); err != nil {
		panic(err)
	}
	if err := n.byIndex.Set(ctx, node.Index, id[:]); err != nil {
		panic(err)
	}
}

// change edits a node.
func (n testNodes) change(ctx context.Context, text string, edit func(*nodestypes.Node)) {
	id, err := nodestypes.ParseNodeID(text)
	if err != nil {
		panic(err)
	}
	node, err := n.byID.Get(ctx, id)
	if err != nil {
		panic(err)
	}
	edit(&node)
	n.put(ctx, node)
}

func (n testNodes) get(ctx context.Context, text string) nodestypes.Node {
	var got nodestypes.Node
	n.change(ctx, text, func(node *nodestypes.Node) { got = *node })
	return got
}

func (n testNodes) Node(ctx context.Context, id escrowtypes.ID) (nodestypes.Node, error) {
	node, err := n.byID.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return node, errNoNode
	}
	return node, err
}

func (n testNodes) NodeByIndex(ctx context.Context, index uint32) (nodestypes.Node, error) {
	id, err := n.byIndex.Get(ctx, index)
	if errors.Is(err, collections.ErrNotFound) {
		return nodestypes.Node{}, errNoNode
	}
	if err != nil {
		return nodestypes.Node{}, err
	}
	return n.Node(ctx, escrowtypes.ID(id))
}

func (n testNodes) Reserve(
	ctx context.Context, id escrowtypes.ID, node nodestypes.Node, total nodestypes.Resources, tasks uint32, ports []uint32,
) error {
	err := node.TakePorts(ports)
	if err != nil {
		return err
	}
	if node.Reserved, err = node.Reserved.Add(total); err != nil {
		return err
	}
	if err := node.Reserved.FitsIn(node.Capacity); err != nil {
		return err
	}
	node.RunningTasks += tasks
	return n.byID.Set(ctx, id, node)
}

func (n testNodes) EndWork(ctx context.Context, id escrowtypes.ID, work nodestypes.Work) error {
	node, err := n.Node(ctx, id)
	if err != nil {
		return err
	}
	if node.Reserved, err = node.Reserved.Sub(work.Released); err != nil {
		return err
	}
	node.RunningTasks -= work.Tasks
	if err := node.ReleasePorts(work.Ports); err != nil {
		return err
	}
	node.Statistics.Add(work.Done)
	for _, o := range work.Outcomes { // without fading or shares, which are x/nodes' affair
		node.Rating.Successes += o.Success
		node.Rating.Trials += nodestypes.RatingOne
		if o.Speed > 0 {
			node.Rating.Speed += o.Speed
			node.Rating.SpeedTrials += nodestypes.RatingOne
		}
	}
	return n.byID.Set(ctx, id, node)
}

func (n testNodes) LostGrace(context.Context) (uint64, error) { return testGrace, nil }

// testDrain is for how long a node that drains keeps its services.
const testDrain = 5_000

func (n testNodes) MaxDrain(context.Context) (uint64, error) { return testDrain, nil }

// testRounds keeps the rounds that are open, with their deadlines.
type testRounds struct {
	open collections.Map[collections.Pair[string, []byte], string]
	next collections.Sequence
}

func newTestRounds(e *fixture.Env) testRounds {
	sb := collections.NewSchemaBuilder(e.StoreService(roundsStore))
	r := testRounds{
		open: collections.NewMap(sb, collections.NewPrefix(0), "open",
			collections.PairKeyCodec(collections.StringKey, collections.BytesKey), collections.StringValue),
		next: collections.NewSequence(sb, collections.NewPrefix(1), "next"),
	}
	if _, err := sb.Build(); err != nil {
		panic(err)
	}
	return r
}

func (r testRounds) OpenRound(ctx context.Context, kind string, subject []byte, deadline, finalDeadline int64) (uint64, error) {
	if has, err := r.open.Has(ctx, collections.Join(kind, subject)); err != nil || has {
		return 0, errors.Join(err, errors.New("round is open already"))
	}
	if finalDeadline < deadline {
		return 0, errors.New("final deadline before the deadline")
	}
	if err := r.open.Set(ctx, collections.Join(kind, subject), ""); err != nil {
		return 0, err
	}
	return r.next.Next(ctx)
}

func (r testRounds) CancelRounds(ctx context.Context, kind string, subject []byte) error {
	return r.open.Remove(ctx, collections.Join(kind, subject))
}

func (r testRounds) HasOpenRound(ctx context.Context, kind string) (bool, error) {
	subjects := r.subjects(ctx, kind)
	return len(subjects) > 0, nil
}

func (r testRounds) subjects(ctx context.Context, kind string) [][]byte {
	var subjects [][]byte
	err := r.open.Walk(ctx, collections.NewPrefixedPairRange[string, []byte](kind),
		func(key collections.Pair[string, []byte], _ string) (bool, error) {
			subjects = append(subjects, key.K2())
			return false, nil
		})
	if err != nil {
		panic(err)
	}
	return subjects
}

// match is the snapshot of the open match round.
func (r testRounds) match(ctx context.Context) (int64, bool) {
	subjects := r.subjects(ctx, types.RoundKindMatches)
	if len(subjects) == 0 {
		return 0, false
	}
	height, err := types.DecodeMatchSubject(subjects[0])
	if err != nil {
		panic(err)
	}
	return height, true
}

// end closes a round as the oracle module does when it has its result or gave up.
func (r testRounds) end(ctx context.Context, kind string, subject []byte) {
	if err := r.open.Remove(ctx, collections.Join(kind, subject)); err != nil {
		panic(err)
	}
}

// check wants an outcome round for each running slice and no other.
func (r testRounds) check(ctx context.Context, w *world) {
	w.tb.Helper()
	for _, subject := range r.subjects(ctx, types.RoundKindOutcome) {
		s, err := types.DecodeOutcomeSubject(subject)
		w.must(err, "subject")
		slice, err := w.k.Slice(ctx, s.Job, s.Slice)
		w.must(err, "slice of a round")
		if slice.Status != types.SLICE_STATUS_MATCHED || slice.Attempt != s.Attempt {
			w.tb.Fatalf("a round asks for attempt %d of slice %d, which is %s in attempt %d", s.Attempt, s.Slice, slice.Status, slice.Attempt)
		}
	}
}
