// Package runner is the program inside the containers that package nomad sends: it runs one task of an attempt with the machinery of
// package direct, so that a task sees, and leaves, the same whoever dispatched it.
//
// The folder that Nomad calls the task's (NOMAD_TASK_DIR) holds all that goes in and out:
//
//	module             the module, as the registry gave it; its digest is checked before it runs
//	inputs.tar         the archive of the inputs, if there are any; checked too
//	in/                where it is unpacked
//	fog/result.tar     the result
//	fog/log            standard output and error
//	fog/outcome.json   how the task ended; written last, so that whoever sees it sees the rest
//
// Nomad only counts processes: the exit code of the runner is that of the task where there is one. What oracles attest is the outcome
// file.
package runner
