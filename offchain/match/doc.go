// Package match finds nodes for tasks. It is the claim path of a match round: every oracle computes the batch from the
// same chain state and the same seed and votes for its hash, so the result must be the same bit for bit on every
// machine. Hence: integers only, no map is walked, nothing is read from a clock or a random source, and the order of
// the inputs does not matter.
//
// A Policy turns a Snapshot into a Batch. Learned puts the snapshot's nodes into an Engine and asks it, item by item, for
// the node with the least expected loss
//
//	L = price·time/s + Φ·(1−p)/p + λ·RTT + wishes not met
//
// where p is the chance that the node finishes the work and s the speed that it delivers over the one that it claims.
// Both are learnt from the rated outcomes on the chain: Stats are the counts with their decay, doubt.go sees nodes go bad and
// recover, prior.go says what is believed of a node beyond its own counts (its owner's other nodes, its class, price and
// speed). ModeGreedy, which ships, takes a runner-up now and then; under ModeThompson p is drawn from a part of the
// posterior, so that nodes that might be good are tried; ModeLowestCost is the off switch.
//
// The engine finds the exact minimum without a look at every node: nodes lie in blocks of 128 and super-blocks of 64
// blocks, each with the best of each column, and the block with the lowest bound is looked at first until no bound is
// below what was found. Bounds hold for the largest noise that can be drawn. There is one order of the nodes by cost and
// one by place; the query decides which is used, and never what is found. An order follows changes when a query asks for it,
// and a bound that may have become loose is found again when a query comes to its block.
//
// A block also has the union of its nodes' words (region, architecture, system, GPU model, attributes) in a few bits, so that a
// job which few nodes can serve passes nearly all blocks over.
//
// Equal losses go by a mix of the node's id with SHA-256(seed ‖ job ‖ task): one hash a decision, as a hash for each node
// of a fleet of equal machines would cost more than all the rest.
//
// The hard constraints are those that x/jobs checks again when it executes the batch (CheckMatch there), and the job's own
// condition, in the language of package constraint; what money a task takes is rounded up here per task, so that the chain
// never finds less free than the batch needs.
//
// Why tells people how a decision came about; Offers counts what was offered to nodes, for their providers' prices; Shadow
// lets a second policy decide without acting; Named is the policy of a version, so that oracles can follow a vote for another
// one, or back to an older one.
package match
