// Package dispatch starts, stops and watches the attempts that the chain assigns.
//
// An attempt is one try of one node at a slice of a job: a run of contiguous tasks of the same module or image. Its id is the id that the chain
// knows, so every operation is idempotent: a second start joins the first one, also after a restart of the process.
//
// # What a task sees
//
// A task is one run of a WASI preview 1 command, or of a container image. It has the folder /in, read-only, with the job's inputs, if there are any; the folder
// /out, empty at first, which becomes its result; the arguments of the job after argv[0] = "task"; the variables of the job, PWD=/out
// unless set, and
//
//	FOG_JOB         the job's id
//	FOG_TASK_INDEX  the task's number in the job, from 0
//	FOG_TASK_COUNT  how many tasks the job has
//
// Standard input is empty; standard output and error become the task's log. There is no network. Results are compared by digest, so a
// task should depend on nothing else: it is not told its slice, node or attempt, random numbers are seeded from job and task number
// (never use them as secrets), and the clock is virtual: it starts at 2026-01-01T00:00:00Z, advances a little on each reading, and
// sleeping moves it on at once.
//
// # Containers
//
// A container keeps this contract as far as a container can. The job's arguments follow the image's entry point, and argv[0], the working
// directory (/out if the image names none) and variables beside those above are the image's and the engine's. Memory, random numbers
// and clock are the machine's: a result is only as deterministic as the program, which must not let time, chance, or the order of
// threads into /out if it wants to be compared. What /out and /tmp hold counts as memory. A full /out tells the program "no space left";
// if it then fails, the reason is output. Links and special files in /out are refused. Death by a signal is an exit code (128 + its
// number), never a trap.
//
// # Services
//
// An assignment with a [Service] is a container that has no end: the dispatcher starts it again after a pause whenever it ends, until it is
// stopped. It has no /out. Beside the variables above it has FOG_PORT_<NAME> for each of its ports: where to listen. What it writes to
// standard output and error is kept as far as the log's limit, the newest. It goes through [ServicePhase]s, which [Services] tells.
//
// # Secrets
//
// A module finds the job's secrets in its environment, which is in this process's memory. A container finds each as a file in /run/secrets,
// which is memory too and only its user can read, and never as a variable: an engine writes those to its disk.
//
// # Outcome
//
// A task ends for one [Reason]. Only tasks that ended by themselves (ok, exit) keep what they wrote, because only that is the same on
// every run; the others have the result of a task that wrote nothing.
package dispatch
