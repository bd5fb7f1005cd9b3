// Package handover translates between what the chain assigns and what a dispatcher runs: a slice becomes an assignment, and the outcome of
// an attempt becomes a report and an artifact in the registry. Agents and oracles share it, so that an attempt means the same whoever
// dispatched it.
package handover
