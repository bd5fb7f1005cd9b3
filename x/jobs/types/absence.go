package types

import nodestypes "github.com/foggrid/fogd/x/nodes/types"

// Stay is for how many seconds from now on a node must not be announced to be offline to take tasks of a job that last for at most so long.
func (p Params) Stay(job Job, maxDuration uint64) uint64 {
	if job.IsService() {
		return p.ServiceStay
	}
	return maxDuration + p.AbsenceMargin
}

// TakesServices tells whether a node is there for enough of each week to take services.
func (p Params) TakesServices(node nodestypes.Node) bool {
	return node.OfflinePercent() <= p.ServiceMaxOfflinePercent
}

// checkStay refuses a node that is announced to be offline before it could be done.
func (p Params) checkStay(job Job, slice Slice, node nodestypes.Node, now int64) error {
	if job.IsService() && !p.TakesServices(node) {
		return ErrNoMatch.Wrapf("node is announced to be offline for %d %% of the week; those that take services for at most %d %%",
			node.OfflinePercent(), p.ServiceMaxOfflinePercent)
	}
	stay := p.Stay(job, slice.MaxDuration)
	if from, leaves := node.NextAbsence(now); leaves && from-now < int64(stay) {
		return ErrNoMatch.Wrapf("node is announced to be offline in %d s, and must stay for %d", from-now, stay)
	}
	return nil
}

// HandsOver tells whether services on a node that is announced to be offline from a time on are handed over now, and whether this is the last epoch
// judged before.
func (p Params) HandsOver(now, from int64) (begins, last bool) {
	left := from - now
	return left < int64(p.ServiceHandover), left < int64(p.HeldSeconds())
}
