package artifact

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
)

// ErrNotIncluded says that a proof does not lead from a leaf to the root.
var ErrNotIncluded = errors.New("leaf is not included under the root")

// MerkleRoot returns the Merkle tree hash of the leaves in their order (RFC 6962 §2.1): a leaf is hashed with the prefix 0x00, an inner
// node with 0x01, and n leaves split at the largest power of two below n. No leaves at all give the SHA-256 of the empty string.
func MerkleRoot(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return hashLeaf(leaves[0])
	}
	k := splitPoint(len(leaves))
	return hashNode(MerkleRoot(leaves[:k]), MerkleRoot(leaves[k:]))
}

// MerkleProof returns the audit path of leaf index, from the leaf's sibling up to the root's child (RFC 6962 §2.1.1).
func MerkleProof(leaves [][32]byte, index int) ([][32]byte, error) {
	if index < 0 || index >= len(leaves) {
		return nil, fmt.Errorf("leaf %d of a tree with %d leaves; the index starts at 0", index, len(leaves))
	}
	var path [][32]byte
	for len(leaves) > 1 {
		k := splitPoint(len(leaves))
		if index < k {
			path = append(path, MerkleRoot(leaves[k:]))
			leaves = leaves[:k]
		} else {
			path = append(path, MerkleRoot(leaves[:k]))
			leaves, index = leaves[k:], index-k
		}
	}
	// The walk went from the root down; a proof is read from the leaf up.
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path, nil
}

// VerifyMerkleProof checks that leaf is number index of size leaves under root (RFC 9162 §2.1.3.2). A wrong proof is ErrNotIncluded.
func VerifyMerkleProof(root, leaf [32]byte, index, size uint64, proof [][32]byte) error {
	if index >= size {
		return fmt.Errorf("%w: leaf %d of a tree with %d leaves", ErrNotIncluded, index, size)
	}
	node, last, hash := index, size-1, hashLeaf(leaf)
	for _, sibling := range proof {
		if last == 0 {
			return fmt.Errorf("%w: the proof has %d steps, too many for %d leaves", ErrNotIncluded, len(proof), size)
		}
		if node&1 == 1 || node == last {
			hash = hashNode(sibling, hash)
			for node&1 == 0 && node != 0 { // a right edge without siblings on these levels
				node, last = node>>1, last>>1
			}
		} else {
			hash = hashNode(hash, sibling)
		}
		node, last = node>>1, last>>1
	}
	if last != 0 {
		return fmt.Errorf("%w: the proof has %d steps, too few for %d leaves", ErrNotIncluded, len(proof), size)
	}
	if hash != root {
		return ErrNotIncluded
	}
	return nil
}

// splitPoint returns the largest power of two below n, for n of at least 2.
func splitPoint(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func hashLeaf(leaf [32]byte) [32]byte {
	var b [33]byte
	copy(b[1:], leaf[:])
	return sha256.Sum256(b[:])
}

func hashNode(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:33], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
