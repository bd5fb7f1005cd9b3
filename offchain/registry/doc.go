// Package registry is an OCI distribution registry (specification v1.1) that runs inside a process and keeps its blobs on disk.
//
// Promises:
//   - What is served has the digest it was asked for. Content is hashed while it is written, and again before it is first served
//     after a start or after its file changed; a corrupt file is set aside and counts as missing, so that a push repairs it.
//   - Nothing half-written is visible. Bytes go to a temporary file, are synced, and are renamed into place; the folder is synced.
//   - A restart forgets uploads in progress, and only those.
//   - What a copy holds is not lost with the root: content that is missing or corrupt comes back from the first copy that has it right (Options.Copies),
//     all content is read and compared at intervals (Scrub), and a root that is gone is made again from a copy (Restore).
//   - A repository shows only what was pushed to it or mounted into it.
//
// On disk, below the root, where REPO may have several components (none starts with an underscore):
//
//	blobs/sha256/ab/<hex>                       content, shared by all repositories
//	repos/REPO/_blobs/<hex>                     empty: the repository holds this blob
//	repos/REPO/_manifests/<hex>                 media type and subject of a manifest
//	repos/REPO/_tags/<sha256 of tag>            tag and digest (hashed: file systems that fold case would mix tags up)
//	repos/REPO/_referrers/<subject>/<hex>       empty: manifest <hex> names <subject>
//	uploads/                                    sessions in progress, emptied at start
//	id                                          random name of the root, by which copies know whose they are
//	corrupt/                                    files that failed verification, removed by GC
//
// One process at a time may use a root. Who may push and pull is decided by Options.Guard; without one, everybody.
package registry
