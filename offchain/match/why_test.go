package match

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhyTellsOfADecision(t *testing.T) {
	p, s := fleet(5)
	p.Wishes.FailureCost = 10_000
	p.Where = `datacenter != "b"`
	s.Nodes[0].Stats = Stats{Trials: 20 * One, Successes: 2 * One}
	s.Pending = []Pending{p}
	policy := Learned{Config{Explore: 200}}
	batch, err := policy.Match(s, Seed{})
	require.NoError(t, err)
	why, err := policy.Why(s, Seed{}, p.Job, p.Slice, idOf('n', 10), idOf('n', 11))
	require.NoError(t, err)
	require.Equal(t, policy.Version(), why.Policy)
	require.Nil(t, why.Waiting)
	require.Len(t, why.Decisions, len(batch.Items))
	for i, d := range why.Decisions {
		require.Equal(t, batch.Items[i], d.Item)
		require.False(t, d.Explored)
		require.Equal(t, d.Item.Node, d.Considered[0].Node)
		for j := 1; j < len(d.Considered)-2; j++ {
			require.GreaterOrEqual(t, d.Considered[j].Loss, d.Considered[j-1].Loss)
		}
		bad, refused := d.Considered[len(d.Considered)-2], d.Considered[len(d.Considered)-1]
		require.Equal(t, Considered{Node: idOf('n', 11), Reason: ReasonWhere}, refused)
		require.Equal(t, idOf('n', 10), bad.Node)
		require.Greater(t, bad.Failure, d.Considered[0].Failure, "it fails more often, so it was not taken")
		require.InDelta(t, float64(bad.Loss), float64(bad.Run+bad.Failure+bad.Latency+bad.Penalty), 3)
		require.Less(t, bad.Reliability, uint32(600))
	}
	require.Equal(t, uint32(980_000), why.Decisions[0].Considered[0].Propensity)
}

func TestWhyTellsWhatWouldHelp(t *testing.T) {
	p, s := fleet(6)
	p.Count, p.PriceCap = 1, 2622
	p.Task.MemoryMiB = 6000
	p.Where = `region == "eu" && tasks < 1`
	s.Nodes[0].Free.MemoryMiB = 5000
	s.Nodes[1].Running = 2
	s.Nodes[2].Region, s.Nodes[2].Running = "us", 1
	for i := range s.Nodes {
		s.Nodes[i].Prices = Prices{CPU: uint64(1000 + i), Memory: 100}
	}
	s.Nodes[3].Prices.CPU, s.Nodes[4].Prices.CPU, s.Nodes[5].Prices.CPU = 1500, 1400, 1450
	s.Pending = []Pending{p}
	why, err := Learned{}.Why(s, Seed{}, p.Job, p.Slice)
	require.NoError(t, err)
	require.Empty(t, why.Decisions)
	require.Equal(t, []ReasonCount{{ReasonPrice, 3}, {ReasonMemory, 1}, {ReasonWhere, 2}}, why.Waiting.Reasons)
	require.Equal(t, []ConditionCount{{`region == "eu"`, 1}, {`tasks < 1`, 2}}, why.Waiting.Conditions)
	require.Equal(t, []Change{
		{ReasonPrice, 3, "raise the price cap to 3385 ufog per task-hour"},
		{ReasonMemory, 1, "ask for at most 5000 MiB of memory"},
		{ReasonWhere, 1, "drop the condition tasks < 1"},
	}, why.Waiting.Changes)

	p.Where = "regin"
	s.Pending = []Pending{p}
	why, err = Learned{}.Why(s, Seed{}, p.Job, p.Slice)
	require.NoError(t, err)
	require.Contains(t, why.Waiting.Changes[0].Advice, "column 1: unknown name regin; did you mean region?")

	_, err = Learned{}.Why(s, Seed{}, p.Job, 9)
	require.ErrorContains(t, err, "is not pending")
	_, err = Learned{}.Why(s, Seed{}, p.Job, 0, idOf('x', 1))
	require.ErrorContains(t, err, "is not among the active nodes")
}

// The obstacles of a node begin with the reason that the filter gives, and there are none where it gives none.
func TestObstaclesAreTheReasons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := generateWishes(t)
		r, err := Learned{}.begin(s, Seed{})
		require.NoError(t, err)
		for i := range s.Pending {
			p := s.Pending[i]
			p.Wishes.Affinity, p.Wishes.PerNode, p.Wishes.PerOwner = nil, 0, 0
			l := r.newLayout(&p)
			for ref := range r.nodes {
				reason, found := l.reject(Ref(ref)), r.obstacles(&r.nodes[ref], &p)
				if reason == 0 {
					require.Empty(t, found)
				} else {
					require.NotEmpty(t, found)
					require.Equal(t, reason, found[0].reason)
				}
			}
		}
	})
}

// Taking away the one obstacle that a change names lets the nodes in.
func TestChangesHelp(t *testing.T) {
	p, s := fleet(4)
	p.Constraints = Constraints{Regions: []string{"us"}, Arch: []string{"amd64"}, MinCPUSingle: 400}
	p.Count = 1
	s.Pending = []Pending{p}
	why, err := Learned{}.Why(s, Seed{}, p.Job, 0)
	require.NoError(t, err)
	require.Equal(t, []Change{{ReasonRegion, 4, `allow region "eu"`}}, why.Waiting.Changes)
	p.Constraints.Regions = append(p.Constraints.Regions, "eu")
	require.Equal(t, map[byte]uint32{0: 1}, counts(t, Learned{}, s, p))
}

func TestShadowDoesNotAct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, seed := generateWishes(t), drawSeed(t)
		want, err := LowestCost{}.Match(s, seed)
		require.NoError(t, err)
		var seen *Comparison
		shadow := Shadow{Acting: LowestCost{}, Watching: Learned{}, Seen: func(c Comparison) { seen = &c }}
		got, err := shadow.Match(s, seed)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NotNil(t, seen)
		require.NoError(t, seen.Err)
		require.Equal(t, want, seen.Acting)
		require.LessOrEqual(t, seen.Same, seen.Tasks)

		same := Shadow{Acting: Learned{}, Watching: Learned{}, Seen: func(c Comparison) { seen = &c }}
		_, err = same.Match(s, seed)
		require.NoError(t, err)
		require.Equal(t, seen.Tasks, seen.Same)
		require.Equal(t, seen.ActingLoss, seen.WatchingLoss)
	})
}
