package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

const (
	// fleetDay is the seconds over which the joint benchmarks of an owner are counted, and for which a figure that fell short in one is remembered.
	fleetDay = 24 * 3600
	// jointsPerDay of an owner at most; the last of them are kept for nodes that fell short and are tried again.
	jointsPerDay, jointsAsked = 6, 3
	// fleetWalk is how many nodes of an owner are looked at for a joint benchmark, fleetMost how many take part.
	fleetWalk, fleetMost = 1_000, 500
	// fleetsPerBlock is how many joint benchmarks that were put off begin in a block.
	fleetsPerBlock = 8
	// startDelay is the seconds before the oracles begin, in which they read the block and take the agents' slots; at most a sixth of the
	// benchmark's window.
	startDelay = 15
)

// group is the nodes of an owner that wait for a benchmark.
type group struct {
	owner sdk.AccAddress
	nodes []escrowtypes.ID
	// again says that one of them was measured in vain already.
	again bool
}

// add a node, if it is not in the group yet.
func (g *group) add(id escrowtypes.ID, n types.Node) {
	if !slices.Contains(g.nodes, id) {
		g.nodes, g.again = append(g.nodes, id), g.again || n.BenchmarkTries > 0 || n.UnreachableTries > 0
	}
}

// groupOf adds a node to the group of its owner.
func (k Keeper) groupOf(groups []*group, id escrowtypes.ID, n types.Node) ([]*group, error) {
	owner, err := k.addresses.StringToBytes(n.Owner)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(groups, func(g *group) bool { return g.owner.Equals(sdk.AccAddress(owner)) })
	if at < 0 {
		at, groups = len(groups), append(groups, &group{owner: owner})
	}
	groups[at].add(id, n)
	return groups, nil
}

// openGroup opens the benchmarks of nodes of one owner, together with those of its other nodes that are up, all with the same start, so that one machine
// cannot answer for two. While the owner has such a benchmark under way they wait for its end, so that each node of it is judged. What the day's count does
// not allow is put off until the next day: meanwhile a node is measured alone, or waits if it fell short among others.
func (k Keeper) openGroup(ctx context.Context, p types.Params, g *group) error {
	now := blockSeconds(ctx)
	f, err := k.fleet(ctx, g.owner)
	if err != nil {
		return err
	}
	if f.Until > now {
		return k.wait(ctx, g, f)
	}
	more, err := k.takeWaiting(ctx, g)
	if err != nil {
		return err
	}
	if now >= f.Day+fleetDay {
		f.Day, f.Joint = now, 0
	}
	members, absent, err := k.members(ctx, g, now)
	if err != nil {
		return err
	}
	most := uint32(jointsAsked)
	if g.again || len(g.nodes) == 0 {
		most = jointsPerDay
	}
	f.Due, f.Until, f.Open = 0, 0, 0
	if absent { // one that is down for now shall not be left out for ever
		f.Due = now + fleetDay
	}
	start, put := int64(0), false
	switch {
	case len(members) < 2:
	case f.Joint >= most:
		f.Due, put = f.Day+fleetDay, true
	default:
		start = now + min(startDelay, int64(p.BenchmarkWindow)/6)
		f.Joint++
		f.Until, f.Open = now+benchmarkReopenings*int64(p.BenchmarkWindow), uint32(len(members))
		if more {
			f.Due = f.Until
		}
	}
	// Stored first: nodes that are still in an earlier joint benchmark, which had no result in time, leave that one.
	if err := k.setFleet(ctx, g.owner, f); err != nil {
		return err
	}
	if put {
		return k.putOff(ctx, p, g.nodes)
	}
	return k.openAll(ctx, p, members, start)
}

func (k Keeper) openAll(ctx context.Context, p types.Params, ids []escrowtypes.ID, start int64) error {
	for _, id := range ids {
		if err := k.openBenchmark(ctx, p, id, start); err != nil {
			return err
		}
	}
	return nil
}

// putOff opens the benchmarks of nodes without the others; one that fell short among others waits for them.
func (k Keeper) putOff(ctx context.Context, p types.Params, ids []escrowtypes.ID) error {
	for _, id := range ids {
		n, err := k.Node(ctx, id)
		if err != nil {
			return err
		}
		if n.BelowTime == 0 {
			err = k.openBenchmark(ctx, p, id, 0)
		} else if err = k.closeBenchmark(ctx, id, &n); err == nil {
			err = k.Nodes.Set(ctx, id, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// members are the nodes of a joint benchmark: the group, and those of the same owner that are up, under benchmark, or waiting for one. absent says that
// one is down. Of an owner with very many nodes a part is looked at, each time another one.
func (k Keeper) members(ctx context.Context, g *group, now int64) (members []escrowtypes.ID, absent bool, err error) {
	members = slices.Clone(g.nodes)
	seed := sha256.Sum256(binary.BigEndian.AppendUint64(slices.Clone([]byte(g.owner)), uint64(now))) //nolint:gosec // the bits seed a draw
	from := escrowtypes.ID(seed[:escrowtypes.IDLength])
	prefix := func() *collections.PairRange[sdk.AccAddress, escrowtypes.ID] {
		return collections.NewPrefixedPairRange[sdk.AccAddress, escrowtypes.ID](g.owner)
	}
	looked := 0
	for _, part := range []*collections.PairRange[sdk.AccAddress, escrowtypes.ID]{prefix().StartInclusive(from), prefix().EndExclusive(from)} {
		err = k.ByOwner.Walk(ctx, part, func(key collections.Pair[sdk.AccAddress, escrowtypes.ID]) (bool, error) {
			looked++
			id := key.K2()
			n, err := k.Node(ctx, id)
			if err != nil {
				return true, err
			}
			switch {
			case slices.Contains(g.nodes, id):
			case takesPart(n, now):
				members = append(members, id)
			case n.Status == types.NODE_STATUS_INACTIVE:
				absent = true
			}
			return looked >= fleetWalk || len(members) >= fleetMost, nil
		})
		if err != nil || looked >= fleetWalk || len(members) >= fleetMost {
			break
		}
	}
	return members, absent, err
}

// takesPart tells whether a node is benchmarked when another one of its owner is.
func takesPart(n types.Node, now int64) bool {
	switch n.Status {
	case types.NODE_STATUS_ACTIVE, types.NODE_STATUS_DRAINING:
		return true
	case types.NODE_STATUS_PENDING:
		return n.BenchmarkUntil > now || n.BelowTime != 0
	}
	return n.Status.Live() && n.BenchmarkUntil > now
}

// fleet of an owner; an empty one if there was no joint benchmark yet.
func (k Keeper) fleet(ctx context.Context, owner sdk.AccAddress) (types.Fleet, error) {
	f, err := k.Fleets.Get(ctx, owner)
	if errors.Is(err, collections.ErrNotFound) {
		text, err := k.addresses.BytesToString(owner)
		return types.Fleet{Owner: text}, err
	}
	return f, err
}

// setFleet stores a fleet and when it is due; what says nothing is not stored.
func (k Keeper) setFleet(ctx context.Context, owner sdk.AccAddress, f types.Fleet) error {
	before, err := k.fleet(ctx, owner)
	if err != nil {
		return err
	}
	for _, at := range []int64{before.Due, before.Until} {
		if err := k.FleetsDue.Remove(ctx, collections.Join(at, owner)); err != nil {
			return err
		}
	}
	for _, at := range []int64{f.Due, f.Until} {
		if at == 0 {
			continue
		}
		if err := k.FleetsDue.Set(ctx, collections.Join(at, owner)); err != nil {
			return err
		}
	}
	if f.Joint == 0 && f.Due == 0 && f.Until == 0 {
		return k.Fleets.Remove(ctx, owner)
	}
	return k.Fleets.Set(ctx, owner, f)
}

// openDueFleets ends the joint benchmarks whose time is over, and begins those that were put off or waited for.
func (k Keeper) openDueFleets(ctx context.Context, p types.Params) error {
	var owners []sdk.AccAddress
	until := collections.NewPrefixUntilPairRange[int64, sdk.AccAddress](blockSeconds(ctx))
	err := k.FleetsDue.Walk(ctx, until, func(key collections.Pair[int64, sdk.AccAddress]) (bool, error) {
		owners = append(owners, key.K2())
		return len(owners) == fleetsPerBlock, nil
	})
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if err := k.openDueFleet(ctx, p, owner); err != nil {
			return err
		}
	}
	return nil
}

// openDueFleet looks after one owner, who can be due for both reasons and comes twice then.
func (k Keeper) openDueFleet(ctx context.Context, p types.Params, owner sdk.AccAddress) error {
	now := blockSeconds(ctx)
	f, err := k.fleet(ctx, owner)
	if err != nil {
		return err
	}
	due, over := f.Due != 0 && f.Due <= now, f.Until != 0 && f.Until <= now
	if over && !due {
		if due, err = k.waits(ctx, owner); err != nil {
			return err
		}
	}
	switch {
	case due:
		return k.openGroup(ctx, p, &group{owner: owner})
	case over:
		f.Until, f.Open = 0, 0
		return k.setFleet(ctx, owner, f)
	}
	return nil
}
