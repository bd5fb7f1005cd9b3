// Package jobclient is the developer's side of a job: it packs a job file and pushes it to the registry, submits it, follows it on the
// chain, and brings its results back, checked against what the oracles attested.
//
// Nothing that comes from the registry is believed: a slice's result counts only if the Merkle root of its tasks' digests is the one
// on chain, and a task's output only if it has its digest; encrypted ones are of ciphertext, which then opens with the developer's key as the
// result of just this task. Nothing here writes to a terminal.
package jobclient
