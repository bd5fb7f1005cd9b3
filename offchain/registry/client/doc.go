// Package client pushes fog artifacts to any OCI registry and pulls them back, verified.
//
// An artifact is an OCI image manifest with an artifactType, the empty config, and its content as layers. What is pulled has the
// digest it was asked for, or the call fails with ErrDigestMismatch. Calls retry what is likely to pass (connection errors, 408, 429,
// 5xx) with growing pauses and end at once when their context does.
package client
