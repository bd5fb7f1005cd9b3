// Package docker runs tasks as containers through the Docker Engine API, on an engine that needs no access to any registry.
//
// # What holds a task
//
// No network, no capabilities, no-new-privileges, the engine's seccomp profile, a fixed user id without a name (65532) whatever the
// image says, at most 512 processes and threads, 4,096 open files each, a hard limit of processor time, memory without swap. The image
// is read-only, and so is /in, a bind mount of the inputs. What can be written is memory: /out, /tmp, /dev/shm and the folders that the image
// declares as volumes are tmpfs mounts, which the kernel bounds in bytes and names and which count as the task's memory. No other mount
// of ordinary Docker has a limit, and a watcher sees neither a fast writer nor files without a name in time.
//
// A tmpfs is gone with the last container that has it. So each task has a second container, the holder, whose program of a few bytes
// does nothing, and from which /out is collected when the task has ended. A holder that does not run any more shows that the daemon was
// stopped, so that its stopping the task is not mistaken for the task's own end.
//
// # What a service has more
//
// A bridge network of its own, out of Options.ServiceNet, with the published ports and no masquerading unless it may open connections. What it
// reaches is Options.Firewall's to say (package firewall); without one that is whatever the machine offers, and with masquerading whatever it
// reaches. Volumes, each a device that the daemon mounts for it (package volume), or where there are no devices a tmpfs of its size that a holder
// keeps, which outlives the container and the dispatcher, but not the daemon. It is asked to end, with SIGTERM, before it is killed.
//
// # Images
//
// An image comes from local OCI content, is checked by digest and size, and is loaded as `docker load` does. It runs by the id that the
// daemon computed from its content. Images stay in the daemon for the next attempt, under a name of this dispatcher, until they are
// over Options.ImageMiB together.
//
// # After a crash
//
// Containers and volumes carry the dispatcher's and the attempt's names as labels. A process that starts an attempt again goes on with
// its containers; those of attempts that nobody knows are swept away.
package docker
