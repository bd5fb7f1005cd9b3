// Package hostvolume is the plugin of Nomad's clients that makes the volumes of services: dynamic host volumes, as Nomad 1.10 and newer have them, of a
// size that the kernel enforces (package volume).
//
// Nomad's client runs a plugin once for each operation, which it names in the environment, and reads a JSON object from its output:
//
//	fingerprint    whether it works here: {"version": …}
//	create         make or bring to its size, and mount: {"path": …, "bytes": …}; asked again for each volume when the client starts
//	delete         unmount and remove
//
// What a volume is for comes as its parameters, which whoever may create volumes writes; nothing of it becomes a path before it was checked. Below the
// client's folder of volumes lie
//
//	fog/<job>_t<task>/<name>.img    what package volume keeps
//	fog/lock                        held by one operation at a time
//	<name in Nomad>/                where the volume is mounted
//
// The folder below a mount belongs to root alone: what is not mounted, for whatever reason, cannot be written to by a service.
package hostvolume
