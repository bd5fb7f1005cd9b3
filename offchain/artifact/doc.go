// Package artifact turns a folder into bytes that are the same on every machine, and back, and names such bytes by digest.
//
// An archive is a tar stream of regular files and folders only. The entries of each folder come in byte order of their names, a folder
// before what it holds; times, owners and devices are zero; modes are 0644 and 0755. So two folders with equal names and contents have
// equal archives and equal digests, whoever made them and whenever.
//
// The digests of a slice's results are bound together by a Merkle tree, hashed as in RFC 6962 §2.1; its root is what the chain records.
package artifact
