// Package jobfile reads fog.yaml, the file in which a developer describes a job, and makes of it the spec that agents run.
//
// A job file is strict YAML: an unknown field, a second value for a field, an anchor or a value of the wrong kind is an error that
// names the file, the line and the field. Amounts are written with their units (256MiB, 10m, 0.5FOG) and are integers from then on;
// no float is involved.
//
// A [Spec] holds all that a task's outcome depends on. Its canonical form is JSON by RFC 8785 with integers only, so there is exactly
// one sequence of bytes for a spec; their SHA-256 is the spec digest on chain. Prices, deadlines, constraints and wishes are no part of
// it: they are fields of the message that submits the job. Conditions are in the language of offchain/match/constraint and are compiled
// when the file is read, so that a mistake is told with its line and column and not found by the oracles.
package jobfile
