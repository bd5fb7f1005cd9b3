// Package types holds the messages, records, errors and rules of x/oracle that need no store.
//
// x/oracle is the one door through which facts from outside enter the chain. A module that wants to know something opens a round
// with a kind and a subject; the oracles of the set vote; what a quorum said becomes one message of a fixed list, executed in
// EndBlock with the module's own address as authority. The module knows neither the subjects nor the messages: what a body must
// look like and which message it becomes is the ReportType of its kind, given to the keeper by app/.
package types
