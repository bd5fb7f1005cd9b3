// Package volume keeps the volumes of services on a machine's disk, each with a limit that the kernel enforces.
//
// A volume is a file of its size with an ext4 file system in it, as a loop device. The file is allocated in full when it is made, so
// that what a node has lent is there when it is written to, and no volume can take the room of another. What the file system needs for
// itself counts as the volume's. Nothing is mounted here: the Docker Engine mounts the device for as long as a container has it, so that
// the mount is where the daemon sees it, and gone with the container; on Nomad its plugin does (package hostvolume).
//
// A file outlives its container, the process that made it, the daemon and the machine's restart; only Wipe removes it. Files belong to a
// replica of a job and not to an attempt, so that the next revision of a service finds what the one before it wrote.
//
//	<dir>/<job>_t<task>/<name>.img    a volume
//	<dir>/<job>_t<task>/<name>.new    one that is being made; of no use after a crash
package volume
