// Package nomadtest is a stand-in of one Nomad region in this process: a server and a client that runs what it is sent by calling the
// runner. It answers with the shapes that a real server gave (recordings), knows as much of scheduling as one pinned node needs, and fails
// on demand. It has no containers, so limits of memory and isolation are only as good as the runner's own.
package nomadtest
