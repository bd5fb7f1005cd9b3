package keeper_test

import (
	"slices"

	"github.com/foggrid/fogd/x/nodes/types"
)

// The model is the life of nodes as the README tells it, without stores, indexes and money other than the deposits. Time is in seconds.
type modelNode struct {
	status     types.NodeStatus
	owner      int
	deposit    uint64
	index      uint32
	single     uint64 // declared cpu_single, the only figure that changes here
	boot       string
	pending    bool
	below      uint32
	away       uint32
	offences   uint32
	condemned  bool
	draining   bool
	asked      bool  // a round opens at the end of the block
	until      int64 // the round that is open ends then; zero if none is
	running    uint32
	ended      uint64
	outages    []types.Outage
	timerRuns  bool // its work is going to be lost
	awardTaken uint64
	rtt        uint32
	announced  []announcement
	start      int64  // at which those that are benchmarked together begin
	belowAt    int64  // when it fell short among others, as long as that counts
	known      uint64 // cpu_single as measured
	waits      bool   // for the end of the joint benchmark that is under way
}

// modelFleet is what is counted of an owner.
type modelFleet struct {
	day, due int64
	joint    int
	until    int64 // the joint benchmark that is under way ends then, and has so many nodes without a result
	open     int
}

type model struct {
	nodes  map[string]*modelNode
	fleets [2]modelFleet
	free   [2]uint64
	burned uint64
	next   uint32
}

const (
	window   = 7 * day
	mostAway = window * 5 / 100
)

func (m *model) jailed(owner int) bool {
	for _, n := range m.nodes {
		if n.owner == owner && n.condemned {
			return true
		}
	}
	return false
}

func (m *model) register(owner int, salt string, deposit uint64) error {
	_, exists := m.nodes[salt]
	switch {
	case deposit < 100*fog:
		return types.ErrInsufficientDeposit
	case exists:
		return types.ErrNodeExists
	case m.jailed(owner):
		return types.ErrOwnerJailed
	case m.free[owner] < deposit:
		return types.ErrInsufficientDeposit
	}
	m.free[owner] -= deposit
	m.nodes[salt] = &modelNode{
		status: types.NODE_STATUS_PENDING, owner: owner, deposit: deposit, single: declared.CpuSingle, boot: boot, pending: true, asked: true,
	}
	return nil
}

func (n *modelNode) live() bool {
	return n.status != types.NODE_STATUS_RETIRED && n.status != types.NODE_STATUS_REFUSED
}

func (n *modelNode) jailedForGood() bool {
	return n.status == types.NODE_STATUS_JAILED && n.offences == 2
}

func (n *modelNode) ask(now int64) error {
	if n.asked || n.waits || n.until > now {
		return types.ErrUnderWay
	}
	n.pending, n.away, n.asked = true, 0, true
	if n.belowAt == 0 {
		n.below = 0
	}
	return nil
}

func (n *modelNode) declare(single uint64, now int64) error {
	if !n.live() || n.jailedForGood() {
		return types.ErrWrongStatus
	}
	if single > n.single && n.status != types.NODE_STATUS_JAILED {
		if err := n.ask(now); err != nil {
			return err
		}
	}
	n.single = single
	return nil
}

func (n *modelNode) drain() error {
	if n.draining || n.status != types.NODE_STATUS_ACTIVE && n.status != types.NODE_STATUS_INACTIVE {
		return types.ErrWrongStatus
	}
	n.draining = true
	if n.status == types.NODE_STATUS_ACTIVE {
		n.status = types.NODE_STATUS_DRAINING
	}
	return nil
}

func (n *modelNode) resume(now int64) error {
	switch {
	case !n.live() || n.jailedForGood():
		return types.ErrWrongStatus
	case n.status == types.NODE_STATUS_DRAINING:
		n.status, n.draining = types.NODE_STATUS_ACTIVE, false
	case n.status == types.NODE_STATUS_INACTIVE && n.draining:
		n.draining = false
	case n.pending:
		return n.ask(now)
	default:
		return types.ErrWrongStatus
	}
	return nil
}

func (m *model) retire(n *modelNode) error {
	if !n.live() {
		return types.ErrWrongStatus
	}
	if n.running > 0 {
		return types.ErrInUse
	}
	n.asked = n.until != 0
	n.waits = n.waits && n.asked
	m.end(n, types.NODE_STATUS_RETIRED)
	return nil
}

func (m *model) end(n *modelNode, as types.NodeStatus) {
	m.free[n.owner] += n.deposit
	n.deposit, n.status, n.pending, n.draining = 0, as, false, false
}

func (n *modelNode) reserve(tasks uint32) error {
	switch {
	case n.status != types.NODE_STATUS_ACTIVE || n.pending:
		return types.ErrWrongStatus
	case n.running+tasks > 8 || n.ended < 10 && n.running+tasks > 1:
		return types.ErrNoCapacity
	}
	n.running += tasks
	return nil
}

// measured is the report of a round about a boot.
func (m *model) measured(n *modelNode, boot string, single uint64, reached bool, now int64) error {
	switch {
	case !n.live() || n.jailedForGood():
		return types.ErrWrongStatus
	case n.boot != boot || n.asked || n.waits:
		return types.ErrStaleReport
	}
	joint := n.start != 0
	m.leave(n, now)
	if !reached {
		n.pending = true
		n.away++
		n.asked = n.away < 3
		return nil
	}
	n.away = 0
	if n.running > 0 {
		whole := n.known
		if n.running < 8 {
			whole = min(whole, single*8/uint64(8-n.running))
		}
		single = max(single, whole)
	}
	n.known = single
	if n.belowAt != 0 && now >= n.belowAt+day {
		n.below, n.belowAt = 0, 0
	}
	switch {
	case single*100 < n.single*75:
		if joint {
			n.belowAt = now
		}
		m.fellShort(n)
		return nil
	case single*100 < n.single*90:
		n.single = single
	}
	n.pending = false
	if n.belowAt == 0 {
		n.below = 0
	}
	if n.status == types.NODE_STATUS_PENDING || n.status == types.NODE_STATUS_JAILED {
		n.status, n.condemned, n.draining, n.outages, n.timerRuns = types.NODE_STATUS_ACTIVE, false, false, nil, false
		if n.index == 0 {
			m.next++
			n.index = m.next
		}
	}
	return nil
}

func (m *model) fellShort(n *modelNode) {
	n.pending = true
	n.below++
	switch {
	case n.below < 3:
		n.asked = true
	case n.index == 0:
		m.end(n, types.NODE_STATUS_REFUSED)
	default:
		slashed := n.deposit / 5
		n.awardTaken = min(slashed/10, 7)
		m.burned += slashed - n.awardTaken
		n.deposit -= slashed
		n.offences++
		n.belowAt = 0
		n.condemned, n.status, n.running = true, types.NODE_STATUS_JAILED, 0
	}
}

// leave ends the node's part in a benchmark; a joint one is over with its last node.
func (m *model) leave(n *modelNode, now int64) {
	f := &m.fleets[n.owner]
	if n.start != 0 && n.until == f.until && f.open > 0 {
		if f.open--; f.open == 0 {
			f.until = now
		}
	}
	n.until, n.start = 0, 0
}

func (m *model) down(n *modelNode, now int64) {
	if n.status != types.NODE_STATUS_ACTIVE && n.status != types.NODE_STATUS_DRAINING {
		return
	}
	n.outages = append(n.outages, types.Outage{From: now})
	n.timerRuns = true
	n.status = types.NODE_STATUS_INACTIVE
	if n.transitions(now) >= 3 {
		m.jail(n, now)
	}
}

func (m *model) jail(n *modelNode, now int64) {
	m.leave(n, now)
	n.status, n.pending, n.asked, n.waits = types.NODE_STATUS_JAILED, true, false, false
}

func (m *model) up(n *modelNode, now int64) {
	if n.status != types.NODE_STATUS_INACTIVE {
		return
	}
	n.outages[len(n.outages)-1].To = now
	switch {
	case n.unexcused(now) > mostAway, n.transitions(now) >= 3:
		m.jail(n, now)
		return
	case n.draining:
		n.status = types.NODE_STATUS_DRAINING
	default:
		n.status = types.NODE_STATUS_ACTIVE
	}
	n.timerRuns = false
}

// watched says whether the oracles' pings of the node count.
func (n *modelNode) watched() bool {
	return n.status == types.NODE_STATUS_ACTIVE || n.status == types.NODE_STATUS_DRAINING || n.status == types.NODE_STATUS_INACTIVE
}

func (n *modelNode) graded(rtt uint32) {
	if n.watched() {
		n.rtt = rtt
	}
}

func (n *modelNode) grade() types.NetworkGrade {
	switch n.rtt {
	case 0:
		return types.NETWORK_GRADE_UNSPECIFIED
	case 1_000:
		return types.NETWORK_GRADE_A
	case 100_000:
		return types.NETWORK_GRADE_B
	}
	return types.NETWORK_GRADE_C
}

func (m *model) restarted(n *modelNode, boot string, now int64) {
	if !n.watched() || n.boot == boot {
		return
	}
	n.pending = n.pending || n.start != 0
	m.leave(n, now)
	n.boot, n.away, n.asked = boot, 0, true
}

// endBlock opens the rounds that were asked for.
func (m *model) endBlock(now int64) {
	for _, n := range m.nodes {
		if n.asked && !(n.live() && n.pending) {
			m.open(n, now, 0)
		}
	}
	for owner := range m.fleets {
		var waiting []*modelNode
		again := false
		for _, n := range m.nodes {
			if n.owner == owner && n.asked {
				waiting, again = append(waiting, n), again || n.below > 0 || n.away > 0
			}
		}
		if len(waiting) > 0 {
			m.together(owner, waiting, again, now)
		}
	}
	for owner := range m.fleets {
		f := &m.fleets[owner]
		over, waits := f.until != 0 && f.until <= now, false
		for _, n := range m.nodes {
			waits = waits || n.owner == owner && n.waits
		}
		switch {
		case f.due != 0 && f.due <= now, over && waits:
			m.together(owner, nil, true, now)
		case over:
			f.until, f.open = 0, 0
		}
	}
}

func (m *model) open(n *modelNode, now, start int64) {
	m.leave(n, now)
	n.asked, n.waits = false, false
	if n.live() {
		n.until, n.start = now+540, start
	}
}

// together opens the benchmarks of those that wait and of the owner's others, or puts that off.
func (m *model) together(owner int, waiting []*modelNode, again bool, now int64) {
	f := &m.fleets[owner]
	if f.until > now {
		for _, n := range waiting {
			m.leave(n, now)
			n.asked, n.waits = false, true
		}
		if f.due != 0 && f.due <= now {
			f.due = f.until
		}
		return
	}
	for _, n := range m.nodes {
		if n.owner == owner && n.waits && !slices.Contains(waiting, n) {
			// The wake-up of those that wait alone is not one of what was put off.
			again = len(waiting) > 0 && again || n.below > 0 || n.away > 0
			waiting = append(waiting, n)
		}
	}
	if now >= f.day+day {
		f.day, f.joint = now, 0
	}
	f.due, f.until, f.open = 0, 0, 0
	var all []*modelNode
	for _, n := range m.nodes {
		if n.owner != owner {
			continue
		}
		up := n.status == types.NODE_STATUS_ACTIVE || n.status == types.NODE_STATUS_DRAINING
		if slices.Contains(waiting, n) || up || n.live() && n.until > now || n.status == types.NODE_STATUS_PENDING && n.belowAt != 0 {
			all = append(all, n)
		} else if n.status == types.NODE_STATUS_INACTIVE {
			f.due = now + day
		}
	}
	most := 3
	if again {
		most = 6
	}
	switch {
	case len(all) < 2:
		for _, n := range all {
			m.open(n, now, 0)
		}
	case f.joint >= most:
		f.due = f.day + day
		for _, n := range waiting {
			if n.belowAt == 0 {
				m.open(n, now, 0)
			} else {
				m.leave(n, now)
				n.asked, n.waits = false, false
			}
		}
	default:
		f.joint++
		f.until, f.open = now+540, len(all)
		for _, n := range all {
			m.open(n, now, now+15)
		}
	}
	if f.joint == 0 && f.due == 0 && f.until == 0 {
		f.day = 0 // the next day begins with the next joint benchmark
	}
}
