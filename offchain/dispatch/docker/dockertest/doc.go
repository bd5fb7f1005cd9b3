// Package dockertest is a stand-in for the Docker Engine in tests: it answers the part of the API that services need (1.41), and runs the
// only program of an image as a process of this machine, with its ports forwarded and its volumes below the folder in GUEST_ROOT.
//
// It holds nothing in: there is no isolation, no limit, no read-only root and no network of its own, and sizes of volumes mean nothing.
// What tests show with it is how the dispatcher drives an engine, never that a service is confined.
package dockertest
