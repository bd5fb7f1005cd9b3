package types_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

// testdata/registrations.json was made by another implementation of SHA-256, bech32 and ed25519.
func TestRegistrationVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/registrations.json")
	require.NoError(t, err)
	var vectors []struct {
		Owner, Salt, ID, Bech32, Registration, Signature string
		AgentSeed                                        string `json:"agent_seed"`
		AgentKey                                         string `json:"agent_key"`
	}
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		owner := fromHex(t, v.Owner)
		id := types.NodeID(owner, v.Salt)
		require.Equal(t, v.ID, id.String())
		require.Equal(t, v.Bech32, id.Bech32(types.NodeHRP))
		parsed, err := types.ParseNodeID(v.Bech32)
		require.NoError(t, err)
		require.Equal(t, id, parsed)

		require.Equal(t, v.Registration, hex.EncodeToString(types.RegistrationBytes(owner, v.Salt)))
		key := ed25519.NewKeyFromSeed(fromHex(t, v.AgentSeed))
		require.Equal(t, v.AgentKey, hex.EncodeToString(key.Public().(ed25519.PublicKey)))
		m := registration()
		m.Salt, m.AgentKey, m.AgentSignature = v.Salt, fromHex(t, v.AgentKey), fromHex(t, v.Signature)
		require.NoError(t, m.Validate(owner))
	}
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}
