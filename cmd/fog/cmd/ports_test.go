package cmd

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestPortRanges(t *testing.T) {
	r, err := parsePorts("30000-30099")
	require.NoError(t, err)
	require.Equal(t, &nodestypes.PortRange{From: 30000, To: 30099}, r)
	r, err = parsePorts("")
	require.NoError(t, err)
	require.Nil(t, r)
	for _, text := range []string{"30000", "30000-", "-30000", "30001-30000", "1-2", "30000-99999", "a-b", "30000-30010-30020", "1024-65535"} {
		_, err := parsePorts(text)
		require.ErrorContains(t, err, "--ports", text)
	}
}

func FuzzParsePorts(f *testing.F) {
	f.Add("30000-30099")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parsePorts(text)
		if err != nil || r == nil {
			return
		}
		require.NoError(t, r.Validate())
		again, err := parsePorts(fmt.Sprintf("%d-%d", r.From, r.To))
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
