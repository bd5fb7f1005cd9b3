package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// goldenLeaf is leaf i of the golden trees: the SHA-256 of the one byte i.
func goldenLeaf(i int) [32]byte { return sha256.Sum256([]byte{byte(i)}) }

func goldenLeaves(n int) (leaves [][32]byte) {
	for i := range n {
		leaves = append(leaves, goldenLeaf(i))
	}
	return leaves
}

// TestMerkleGolden compares with testdata/merkle.json, roots by number of leaves, which were computed by an independent program.
func TestMerkleGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/merkle.json")
	require.NoError(t, err)
	var golden []struct {
		Leaves int
		Root   string
	}
	require.NoError(t, json.Unmarshal(raw, &golden))
	require.Len(t, golden, 10)
	for _, g := range golden {
		root := MerkleRoot(goldenLeaves(g.Leaves))
		require.Equal(t, g.Root, hex.EncodeToString(root[:]), "%d leaves", g.Leaves)
	}
}

func TestMerkleProofs(t *testing.T) {
	for n := 1; n <= 70; n++ {
		leaves := goldenLeaves(n)
		root := MerkleRoot(leaves)
		for i := range n {
			proof, err := MerkleProof(leaves, i)
			require.NoError(t, err)
			require.NoError(t, VerifyMerkleProof(root, leaves[i], uint64(i), uint64(n), proof))
		}
	}
	_, err := MerkleProof(goldenLeaves(3), 3)
	require.Error(t, err)
	_, err = MerkleProof(nil, 0)
	require.Error(t, err)
}

func TestMerkleProofRefusesChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "leaves")
		i := rapid.IntRange(0, n-1).Draw(t, "index")
		leaves := goldenLeavesLong(n)
		root := MerkleRoot(leaves)
		proof, err := MerkleProof(leaves, i)
		require.NoError(t, err)
		verify := func(leaf [32]byte, index, size int, proof [][32]byte) error {
			return VerifyMerkleProof(root, leaf, uint64(index), uint64(size), proof)
		}
		require.NoError(t, verify(leaves[i], i, n, proof))
		require.ErrorIs(t, verify(sha256.Sum256([]byte("other")), i, n, proof), ErrNotIncluded)
		require.ErrorIs(t, verify(leaves[i], n, n, proof), ErrNotIncluded)
		require.ErrorIs(t, verify(leaves[i], i, n, append(proof[:len(proof):len(proof)], root)), ErrNotIncluded)
		if n > 1 {
			require.ErrorIs(t, verify(leaves[i], (i+1)%n, n, proof), ErrNotIncluded)
			require.ErrorIs(t, verify(leaves[i], i, n, proof[:len(proof)-1]), ErrNotIncluded)
			step := rapid.IntRange(0, len(proof)-1).Draw(t, "step")
			changed := append([][32]byte{}, proof...)
			changed[step][0] ^= 1
			require.ErrorIs(t, verify(leaves[i], i, n, changed), ErrNotIncluded)
		}
	})
}

func goldenLeavesLong(n int) (leaves [][32]byte) {
	for i := range n {
		leaves = append(leaves, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	return leaves
}
