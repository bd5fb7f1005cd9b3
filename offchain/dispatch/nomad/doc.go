// Package nomad runs attempts on Nomad clusters: the second implementation of dispatch.Dispatcher, held by oracles.
//
// # One attempt, one job
//
// An attempt becomes one Nomad job with as many allocations as it has tasks, pinned to the node of the match. The job's id follows from
// job, slice, attempt and node, and it is registered create-only: whoever comes second finds it there, compares the fingerprint in its
// meta and adopts it. Several oracles may so hold the same attempt. Nothing restarts or reschedules within a batch job, since the chain owns
// retries. Nomad replaces what it lost even so, therefore an attempt that lost an allocation is deregistered, and that confirmed, before
// its tasks get an outcome. Deregistering leaves the stopped job in Nomad's state: as long as it is there, the attempt cannot be
// registered again. Only Remove purges it.
//
// # What runs
//
// Each allocation is one container of the runner image (package runner) without network, capabilities or a writable root, with hard
// limits for processor, memory and processes. The client downloads module and inputs into the task's folder; the runner checks their
// digests, runs the task under its limits, and leaves result, log and outcome there. The dispatcher fetches these through the servers'
// file API (ADR 0013), checks the result's digest and keeps them.
//
// The image of a job runs with the runner as its first process, which a task before it brought into the allocation's shared folder (ADR 0020); what it
// leaves lies there.
//
// Secrets come by a task beside (package lend), which has an identity of Nomad's for the gateway (ADR 0027).
//
// Volumes of services are Nomad's dynamic host volumes where the client has the plugin (package hostvolume), made before the job is registered (ADR 0024);
// else they are memory.
//
// # What is told
//
// The event stream only brings news sooner: its buffer is short, so all allocations are listed again after each reconnect, change of leader or
// jump of the index, and each minute. How a task ended is
//
//	outcome file is there                         what it says
//	the container was killed for its memory       memory
//	image pull, download, setup or driver failed  node, with Nomad's message
//	the runner ended without an outcome file      node; the runner's own clock ends tasks, so max_run_duration is not reached by them
//	client lost, or unknown for as long as it may
//	take to stop; allocation evicted or replaced  node, for all tasks of the attempt that have not ended
//	not placed in time                            node, with the scheduler's reason
//	attempt stopped                               stopped
//
// A service is placed again by Nomad whatever happens to its allocation, until it is stopped here or there; how it is its runner says, and Nomad's check.
//
// # State
//
// Below Options.Dir, for each attempt that was started here:
//
//	<job>_s<slice>_a<attempt>/attempt.json         what was registered where, and whether it was stopped
//	…/tasks/<task>/{result.tar,log,log.*}          what a finished task left
//	…/tasks/<task>/done.json                       its outcome; written last
package nomad
