// Package runner is the program inside the containers that package nomad sends: it runs one task of an attempt with the machinery of
// package direct, so that a task sees, and leaves, the same whoever dispatched it.
//
// # Modules
//
// The container holds the runner and nothing else. The folder that Nomad calls the task's (NOMAD_TASK_DIR) holds all that goes in and out:
//
//	module             the module, as the registry gave it; its digest is checked before it runs
//	inputs.tar         the archive of the inputs, if there are any; checked too
//	in/                where it is unpacked
//	fog/result.tar     the result
//	fog/log            standard output and error
//	fog/outcome.json   how the task ended; written last, so that whoever sees it sees the rest
//
// # Images
//
// The container is one of the job's image, and the runner is the first process in it (package inside). A task before it (Prepare), a container of the
// runner's own image, brings the runner's program and the inputs into the folder that the tasks of an allocation share (NOMAD_ALLOC_DIR), which
// also gets what is above below fog/, for a service fog/service.json with how it is, and below state/ its log.
//
// Nomad only counts processes: the exit code of the runner is that of the task where there is one. What oracles attest is the outcome
// file.
package runner
