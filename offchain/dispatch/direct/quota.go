package direct

import (
	"strings"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	entryCost  = 4 << 10 // what a name takes on common file systems
	maxEntries = 1 << 16 // artifact.Limits' default, so that every result can be packed
)

// quota counts what a task's output folder holds. It mirrors the folder's names, which nobody else changes.
type quota struct {
	limit, used int64
	nodes       map[string]*node // by clean path
	guard       *guard
}

// node is a file or folder that takes space: until it has no name and no open file.
type node struct {
	size     int64
	opens    int
	unlinked bool
}

func newQuota(limit int64, g *guard) *quota {
	return &quota{limit: limit, nodes: map[string]*node{}, guard: g}
}

// add counts a new name; false means that the task is over its limit and ends.
func (q *quota) add(name string) bool {
	if len(q.nodes) >= maxEntries {
		q.guard.fail(dispatch.Failf(dispatch.ReasonOutput, "the output folder has more than %d files and folders", maxEntries))
		return false
	}
	if !q.charge(entryCost) {
		return false
	}
	q.nodes[name] = &node{}
	return true
}

// node returns the node of an existing name.
func (q *quota) node(name string, size int64) *node {
	n, ok := q.nodes[name]
	if !ok { // another spelling of a counted name, on a host that ignores case
		n = &node{size: size}
		q.nodes[name] = n
	}
	return n
}

// resize counts a file's new size; false means that the task is over its limit and ends.
func (q *quota) resize(n *node, size int64) bool {
	if !q.charge(size - n.size) {
		return false
	}
	n.size = size
	return true
}

func (q *quota) charge(delta int64) bool {
	if delta > q.limit-q.used {
		q.guard.fail(dispatch.Failf(dispatch.ReasonOutput, "the output folder holds more than %d MiB", q.limit>>20))
		return false
	}
	q.used += delta
	return true
}

// remove forgets a name. What it took is given back when no file is open on it.
func (q *quota) remove(name string) {
	if n, ok := q.nodes[name]; ok {
		delete(q.nodes, name)
		n.unlinked = true
		q.release(n)
	}
}

func (q *quota) closed(n *node) {
	n.opens--
	q.release(n)
}

func (q *quota) release(n *node) {
	if n.unlinked && n.opens == 0 {
		q.used -= n.size + entryCost
	}
}

// rename moves a name, and all below it.
func (q *quota) rename(from, to string) {
	q.remove(to)
	for name, n := range q.nodes {
		if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == '/') {
			delete(q.nodes, name)
			q.nodes[to+rest] = n
		}
	}
}
