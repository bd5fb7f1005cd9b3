package jobclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/oracle"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var (
	// ErrNoSuchSlice is a slice number that the job does not have.
	ErrNoSuchSlice = errors.New("the job has no such slice; fog job status lists them")
	// ErrNotExplained is a slice of which there is nothing to tell.
	ErrNotExplained = errors.New("nothing can be told of this match")
)

// Why says why a slice of a job is where it is, or why it waits.
type Why struct {
	Slice     uint32 `json:"slice"`
	FirstTask uint32 `json:"first_task"`
	Tasks     uint32 `json:"tasks"`
	Status    string `json:"status"`
	// Policy that decided on the state at Height, in Round; there is no round for a slice that waits.
	Policy string `json:"policy"`
	Height int64  `json:"snapshot_height"`
	Round  uint64 `json:"round,omitempty"`
	// Nodes that could be matched at that height.
	Nodes int `json:"nodes"`
	// Decision is nil if no node was found.
	Decision *WhyDecision `json:"decision,omitempty"`
	// Waiting is nil for a slice that has a node.
	Waiting *WhyWaiting `json:"waiting,omitempty"`
	// Asked are the nodes that were asked for.
	Asked []Candidate `json:"asked,omitempty"`
	// Unexplained says why nothing else is here.
	Unexplained string `json:"unexplained,omitempty"`
}

// WhyDecision is how a node came to be chosen.
type WhyDecision struct {
	// Preview is true if the slice still waits: it is what the policy would do now.
	Preview bool `json:"preview"`
	// Node that was taken.
	Node string `json:"node_id"`
	// Identical is true if computing the decision again gave that node.
	Identical bool `json:"identical"`
	// Explored is true if the node was taken to learn about it, though another one promised a lower loss.
	Explored bool `json:"explored"`
	// Propensity is the chance in millionths with which the policy takes that node, as found in Redraws draws with other
	// seeds, or exactly if Redraws is zero.
	Propensity uint32 `json:"propensity_millionths"`
	Redraws    int    `json:"redraws"`
	// Considered are the node that was taken, and those that were near, by rising loss.
	Considered []Candidate `json:"considered"`
}

// Candidate is a node that a policy looked at.
type Candidate struct {
	Node string `json:"node_id"`
	// Taken is true of the node that the slice went to.
	Taken bool `json:"taken"`
	// Reason why the node was out of the question; empty if it was not.
	Reason string `json:"reason,omitempty"`
	// Loss in ufog that a task is expected to cause on the node: what its run costs, what its failures cost, what the distance to the
	// job's place costs, and what the wishes that the node does not meet weigh.
	Loss     uint64 `json:"loss"`
	Run      uint64 `json:"run"`
	Failure  uint64 `json:"failure"`
	Distance uint64 `json:"distance"`
	Wishes   uint64 `json:"wishes"`
	// Reliability is the chance of success that was used, in thousandths.
	Reliability uint32 `json:"reliability_thousandths"`
	// Conditions of the job that the node does not meet, and Changes of the job that would let it in, each by itself.
	Conditions []string `json:"conditions,omitempty"`
	Changes    []string `json:"changes,omitempty"`
}

// WhyWaiting says what keeps the tasks of a slice from running.
type WhyWaiting struct {
	// Tasks that would find no node now.
	Tasks uint32 `json:"tasks"`
	// Full is true if the batch has no room for the slice: it is for a later one.
	Full       bool        `json:"full"`
	Excluded   []Exclusion `json:"excluded"`
	Conditions []Exclusion `json:"conditions"`
	// Changes of the job that would let nodes in, each by itself.
	Changes []Advice `json:"changes"`
}

// Advice is a change of a job and the number of nodes that it lets in.
type Advice struct {
	Change string `json:"change"`
	Nodes  uint32 `json:"nodes"`
}

// Reasons computes again how matches of a job came about.
type Reasons struct {
	chain *chain.Client
	// questions by height: the slices of a job are mostly matched together.
	questions map[int64]oracle.Question
}

// NewReasons reads from a chain.
func NewReasons(c *chain.Client) *Reasons {
	return &Reasons{chain: c, questions: map[int64]oracle.Question{}}
}

// Of tells about one slice, and what kept the nodes (node1…) that are named from being taken. For a match the node must still hold the
// state at its height: the error is chain.ErrPruned if it does not.
func (r *Reasons) Of(ctx context.Context, s jobstypes.Slice, nodes ...string) (Why, error) {
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, s.JobId)
	if err != nil {
		return Why{}, err
	}
	asked := make([]match.ID, len(nodes))
	for i, text := range nodes {
		node, err := nodestypes.ParseNodeID(text)
		if err != nil {
			return Why{}, fmt.Errorf("%q is not the id of a node (node1…): %w", text, err)
		}
		asked[i] = match.ID(node)
	}
	var q oracle.Question
	switch {
	case s.Status == jobstypes.SLICE_STATUS_PENDING:
		q, err = r.newest(ctx, s.QueuedHeight)
	case s.NodeId == "":
		return Why{}, fmt.Errorf("slice %d was never matched: %w", s.Number, ErrNotExplained)
	case s.SnapshotHeight == 0:
		return Why{}, fmt.Errorf("the chain did not record on what state slice %d was matched: %w", s.Number, ErrNotExplained)
	default:
		q, err = r.at(ctx, s.SnapshotHeight)
	}
	if err != nil {
		return Why{}, fmt.Errorf("slice %d: %w", s.Number, err)
	}
	return whyOf(q, match.ID(id), s, asked)
}

// newest is the question at the newest height that has one, not before the given one.
func (r *Reasons) newest(ctx context.Context, least int64) (oracle.Question, error) {
	now, err := r.chain.WaitForHeight(ctx, max(least, 1)+1)
	if err != nil {
		return oracle.Question{}, err
	}
	return r.at(ctx, now-1)
}

func (r *Reasons) at(ctx context.Context, height int64) (oracle.Question, error) {
	if q, read := r.questions[height]; read {
		return q, nil
	}
	// Nothing but the height can be wrong about this query.
	_, err := jobstypes.NewQueryClient(r.chain.AtHeight(height)).Params(ctx, &jobstypes.QueryParamsRequest{})
	var refused *chain.QueryError
	if errors.As(err, &refused) && !errors.Is(err, chain.ErrUnavailable) {
		err = fmt.Errorf("the state at height %d, which the oracles matched on: %w (one that runs with --pruning nothing, by --grpc and --rpc)",
			height, chain.ErrPruned)
	}
	if err != nil {
		return oracle.Question{}, err
	}
	q, err := oracle.ReadQuestion(ctx, r.chain, height)
	if err == nil {
		r.questions[height] = q
	}
	return q, err
}

// inquiry is a slice with all that bears on it.
type inquiry struct {
	policy   match.Learned
	snapshot match.Snapshot
	seed     match.Seed
	pending  match.Pending
	task     uint32
	node     *match.ID // that the chain recorded; nil while the slice waits
}

func whyOf(q oracle.Question, job match.ID, s jobstypes.Slice, asked []match.ID) (Why, error) {
	out := Why{
		Slice: s.Number, FirstTask: s.FirstTask, Tasks: s.TaskCount, Status: s.Status.String(), Policy: q.Version, Height: q.Height,
		Nodes: len(q.Snapshot.Nodes),
	}
	policy, known := match.Named(q.Version)
	if !known {
		return Why{}, fmt.Errorf("this release does not know match policy %q; upgrade fog", q.Version)
	}
	in := inquiry{policy: policy, snapshot: q.Snapshot, seed: q.Seed, task: s.FirstTask}
	at := slices.IndexFunc(in.snapshot.Pending, func(p match.Pending) bool {
		return p.Job == job && p.First <= s.FirstTask && s.FirstTask-p.First < p.Count
	})
	if at < 0 {
		return Why{}, fmt.Errorf("slice %d is not in the queue that the oracles look at, at height %d: it is behind the first slices, or was matched since; "+
			"try again: %w", s.Number, q.Height, ErrNotExplained)
	}
	in.pending = in.snapshot.Pending[at]
	if s.Status != jobstypes.SLICE_STATUS_PENDING {
		node, err := nodestypes.ParseNodeID(s.NodeId)
		if err != nil {
			return Why{}, err
		}
		in.node, out.Round = (*match.ID)(&node), s.MatchRound
	}
	why, err := in.why(in.policy, in.seed, in.known(asked)...)
	if err != nil {
		return Why{}, err
	}
	if out.Decision, err = in.decision(why); err != nil {
		return Why{}, err
	}
	if in.node == nil && why.Waiting != nil {
		out.Waiting = waitingOf(why.Waiting)
	}
	for _, id := range asked {
		c, err := in.asked(why, id)
		if err != nil {
			return Why{}, err
		}
		out.Asked = append(out.Asked, c)
	}
	return out, nil
}

// known are the nodes of the snapshot among those asked for, and the one that was taken.
func (in *inquiry) known(asked []match.ID) []match.ID {
	if in.node != nil {
		asked = append(slices.Clone(asked), *in.node)
	}
	var out []match.ID
	for _, id := range asked {
		if in.find(id) >= 0 && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (in *inquiry) find(id match.ID) int {
	return slices.IndexFunc(in.snapshot.Nodes, func(n match.Node) bool { return n.ID == id })
}

func (in *inquiry) why(policy match.Learned, seed match.Seed, nodes ...match.ID) (match.Why, error) {
	return policy.Why(in.snapshot, seed, in.pending.Job, in.pending.Slice, nodes...)
}

// decided is the decision that gave the slice's first task to a node, nil if there is none.
func (in *inquiry) decided(why match.Why) *match.WhyDecision {
	for i := range why.Decisions {
		if item := why.Decisions[i].Item; item.First <= in.task && in.task-item.First < item.Count {
			return &why.Decisions[i]
		}
	}
	return nil
}

func (in *inquiry) decision(why match.Why) (*WhyDecision, error) {
	d := in.decided(why)
	if d == nil {
		if in.node == nil {
			return nil, nil
		}
		return &WhyDecision{Node: nodeText(*in.node), Considered: []Candidate{}}, nil // computed again, no node is found: said by Identical
	}
	taken := d.Item.Node
	if in.node != nil {
		taken = *in.node
	}
	out := &WhyDecision{Preview: in.node == nil, Node: nodeText(taken), Identical: taken == d.Item.Node, Explored: d.Explored, Considered: []Candidate{}}
	seen := map[match.ID]bool{}
	for _, c := range d.Considered {
		if seen[c.Node] || c.Reason != 0 {
			continue
		}
		seen[c.Node] = true
		out.Considered = append(out.Considered, candidate(c, c.Node == taken))
		if c.Node == taken {
			out.Propensity = c.Propensity
		}
	}
	slices.SortStableFunc(out.Considered, func(a, b Candidate) int { return cmp.Compare(a.Loss, b.Loss) })
	if in.policy.Config.Mode == match.ModeThompson {
		return out, in.redraw(out, taken)
	}
	return out, nil
}

func nodeText(id match.ID) string { return escrowtypes.ID(id).Bech32(nodestypes.NodeHRP) }

func candidate(c match.Considered, taken bool) Candidate {
	out := Candidate{
		Node: nodeText(c.Node), Taken: taken, Loss: c.Loss, Run: c.Run, Failure: c.Failure, Distance: c.Latency, Wishes: c.Penalty,
		Reliability: c.Reliability,
	}
	if c.Reason != 0 {
		out.Reason = c.Reason.String()
	}
	return out
}

// asked tells about a node that was asked for.
func (in *inquiry) asked(why match.Why, id match.ID) (Candidate, error) {
	at := in.find(id)
	if at < 0 {
		return Candidate{Node: nodeText(id), Reason: "was not active then, or waited for a benchmark"}, nil
	}
	taken := in.node != nil && *in.node == id
	if d := in.decided(why); d != nil {
		for _, c := range d.Considered {
			if c.Node == id && c.Reason == 0 {
				return candidate(c, taken), nil
			}
		}
	}
	return in.alone(id, at)
}

// alone asks the policy for a place on one node as if there were no other, and nothing before in the queue: the reason that it then
// gives is the node's own.
func (in *inquiry) alone(id match.ID, at int) (Candidate, error) {
	s := in.snapshot
	s.Nodes, s.Pending = s.Nodes[at:at+1], []match.Pending{in.pending}
	why, err := in.policy.Why(s, in.seed, in.pending.Job, in.pending.Slice)
	if err != nil {
		return Candidate{}, err
	}
	if len(why.Decisions) > 0 {
		c := candidate(why.Decisions[0].Considered[0], false)
		c.Reason = "could take a task, but slices before this one in the queue took its room, or filled the batch"
		return c, nil
	}
	out := Candidate{Node: nodeText(id)}
	if why.Waiting == nil || len(why.Waiting.Reasons) == 0 {
		return out, nil
	}
	out.Reason = why.Waiting.Reasons[0].Reason.String()
	for _, c := range why.Waiting.Conditions {
		if c.Nodes > 0 {
			out.Conditions = append(out.Conditions, c.Condition)
		}
	}
	for _, c := range why.Waiting.Changes {
		out.Changes = append(out.Changes, c.Advice)
	}
	return out, nil
}

func waitingOf(w *match.WhyWaiting) *WhyWaiting {
	out := &WhyWaiting{Tasks: w.Tasks, Full: w.Full, Excluded: []Exclusion{}, Conditions: []Exclusion{}, Changes: []Advice{}}
	for _, r := range w.Reasons {
		out.Excluded = append(out.Excluded, Exclusion{Reason: r.Reason.String(), Nodes: r.Nodes})
	}
	for _, c := range w.Conditions {
		out.Conditions = append(out.Conditions, Exclusion{Reason: c.Condition, Nodes: c.Nodes})
	}
	for _, c := range w.Changes {
		out.Changes = append(out.Changes, Advice{Change: c.Advice, Nodes: c.Nodes})
	}
	return out
}
