// Package inside runs the program of a container image as a child of this process, which is the first one in a container of that image: how
// package runner runs images under Nomad, where nobody has the Docker Engine in hand.
//
// The container has the image's files, a read-only root, /tmp and /out (or the volumes of a service) as tmpfs of the sizes that the assignment
// allows, and no other network than the job's. This process is root there, with the right to become somebody else and to end others and no more;
// the program is user 65532 without any right, so that it can neither end this process nor touch what it writes. Whatever the program started
// ends with it.
package inside
