package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestVolumesOnDisk(t *testing.T) {
	a, disk, z := types.Attribute{Key: "a", Value: "1"}, types.Attribute{Key: types.AttributeVolumes, Value: types.VolumesDisk}, types.Attribute{Key: "z", Value: "2"}
	memory := types.Attribute{Key: types.AttributeVolumes, Value: "memory"}
	for name, c := range map[string]struct {
		has           []types.Attribute
		keeps         bool
		with, without []types.Attribute
	}{
		"nothing":        {nil, false, []types.Attribute{disk}, nil},
		"between others": {[]types.Attribute{a, z}, false, []types.Attribute{a, disk, z}, []types.Attribute{a, z}},
		"has it":         {[]types.Attribute{a, disk}, true, []types.Attribute{a, disk}, []types.Attribute{a}},
		"another value":  {[]types.Attribute{memory, z}, false, []types.Attribute{disk, z}, []types.Attribute{z}},
	} {
		n := types.Node{Attributes: c.has}
		require.Equal(t, c.keeps, n.KeepsVolumes(), name)
		require.Equal(t, c.with, n.WithVolumes(true), name)
		require.True(t, types.Node{Attributes: n.WithVolumes(true)}.KeepsVolumes(), name)
		require.ElementsMatch(t, c.without, n.WithVolumes(false), name)
		require.Equal(t, types.Node{Attributes: c.has}, n, "what the node has is not changed")
	}
}
