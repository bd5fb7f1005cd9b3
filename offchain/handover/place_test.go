package handover_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/handover"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestNomadPlaceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom([]string{"", "a", "b"})
		want := handover.Place{
			Region: field.Draw(t, "region"), Namespace: field.Draw(t, "namespace"), Datacenter: field.Draw(t, "datacenter"),
			Pool: field.Draw(t, "pool"), Class: field.Draw(t, "class"),
		}
		n := nodestypes.Node{Attributes: []nodestypes.Attribute{{Key: "tpm", Value: "true"}}}
		for key, value := range want.Attributes() {
			n.Attributes = append(n.Attributes, nodestypes.Attribute{Key: key, Value: value})
		}
		got, served := handover.NomadPlace(n)
		require.Equal(t, want, got)
		require.Equal(t, want.Region != "", served)
	})
}
