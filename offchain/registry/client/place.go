package client

import (
	"fmt"

	"github.com/foggrid/fogd/offchain/artifact"
)

// WithOwnedRepos puts everything where a gateway's access control looks for it: what a developer pushes at
// dev/ADDRESS/KIND/DIGEST, one repository for each piece of content, so that a token for one gives nothing else; a result at
// results/JOB/s0-a1. Without it there is one repository of a kind for all.
func WithOwnedRepos() Option { return func(c *Client) { c.owned = true } }

// Owned tells whether the client was made WithOwnedRepos.
func (c *Client) Owned() bool { return c.owned }

// ContentRepo is where content (of RepoModules, RepoSpecs, RepoInputs or RepoImages) of an owner (fog1…) lies.
func (c *Client) ContentRepo(owner, kind string, d artifact.Digest) string {
	if !c.owned {
		return kind
	}
	return OwnedRepo(owner, kind, d)
}

// OwnedRepo is ContentRepo of a client WithOwnedRepos.
func OwnedRepo(owner, kind string, d artifact.Digest) string {
	return fmt.Sprintf("%s/%s/%s", OwnerPrefix(owner), kind, d.Hex())
}

// OwnerPrefix is what all repositories of an owner begin with.
func OwnerPrefix(owner string) string { return "dev/" + owner }

// SliceRepo is where the result of an attempt at a slice lies.
func (c *Client) SliceRepo(job string, slice, attempt uint32) string {
	if !c.owned {
		return ResultRepo(job)
	}
	return OwnedResultRepo(job, slice, attempt)
}

// OwnedResultRepo is SliceRepo of a client WithOwnedRepos.
func OwnedResultRepo(job string, slice, attempt uint32) string {
	return ResultRepo(job) + "/" + ResultTag(slice, attempt)
}
