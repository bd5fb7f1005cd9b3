package cmd

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/agent/nomadclient"
)

func TestOwnerFlags(t *testing.T) {
	terms, err := ownerFlags{}.terms()
	require.NoError(t, err)
	require.Nil(t, terms)
	terms, err = ownerFlags{hours: "daily 22:00-06:00", zone: "Europe/Berlin"}.terms()
	require.NoError(t, err)
	require.Equal(t, "daily 22:00-06:00", terms.Work.String())
	require.Equal(t, "Europe/Berlin", terms.Zone.String())
	require.Nil(t, terms.Use)
	for says, f := range map[string]ownerFlags{
		"--hours-zone goes with --hours": {zone: "UTC"},
		`--hours: "noon" is not days`:    {hours: "noon"},
		`--zone "Nowhere"`:               {hours: "daily 22:00-06:00", zone: "Nowhere"},
	} {
		_, err := f.terms()
		require.ErrorContains(t, err, says)
	}
}

// What tasks may have of the machine is what the Nomad client does not leave to it.
func TestLendToNomad(t *testing.T) {
	inv, err := inventory.Collect(context.Background(), t.TempDir())
	require.NoError(t, err)
	lends := func(f agentFlags) (nomadclient.Options, error) {
		o := nomadclient.Options{ReservedMiB: 512}
		return o, lend(t.Context(), f, t.TempDir(), &o)
	}
	o := nomadclient.Options{ReservedMiB: 512}
	require.NoError(t, lend(t.Context(), agentFlags{memory: "100MiB"}, t.TempDir(), &o))
	require.Equal(t, inv.MemoryMiB-100, o.ReservedMiB)
	o = nomadclient.Options{ReservedMiB: 512}
	require.NoError(t, lend(t.Context(), agentFlags{memory: fmt.Sprintf("%dMiB", inv.MemoryMiB), cpus: fmt.Sprint(inv.Cores)}, t.TempDir(), &o))
	require.Equal(t, nomadclient.Options{ReservedMiB: 512}, o, "all of it, but what is reserved in any case")
	if inv.Cores > 1 {
		o = nomadclient.Options{}
		require.NoError(t, lend(t.Context(), agentFlags{cpus: "1"}, t.TempDir(), &o))
		require.Regexp(t, `^1(-\d+)?$`, o.ReservedCores)
	}
	_, err = lends(agentFlags{cpus: "500m"})
	require.ErrorContains(t, err, "Nomad reserves whole cores")
	_, err = lends(agentFlags{cpus: "1000"})
	require.ErrorContains(t, err, "Nomad reserves whole cores")
	_, err = lends(agentFlags{memory: "900TiB"})
	require.ErrorContains(t, err, "this machine has")
}
