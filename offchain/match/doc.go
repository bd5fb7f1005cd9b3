// Package match finds nodes for tasks. It is the claim path of a match round: every oracle computes the batch from the
// same chain state and the same seed and votes for its hash, so the result must be the same bit for bit on every
// machine. Hence: integers only, no map is walked, nothing is read from a clock or a random source, and the order of
// the inputs does not matter.
//
// A Policy turns a Snapshot into a Batch. LowestCost is the plain one: filter by the hard constraints, then the lowest
// expected cost of getting the task done. The learning engine fills the same interface.
//
// The hard constraints are those that x/jobs checks again when it executes the batch (CheckMatch there); what money a
// task takes is rounded up here per task, so that the chain never finds less free than the batch needs.
package match
