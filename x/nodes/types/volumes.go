package types

import (
	"cmp"
	"slices"
)

// AttributeVolumes is the key of the attribute that says where a node has the volumes of services. VolumesDisk is its value where they are on disk, so
// that files outlive what wrote them; without the attribute they are memory.
const (
	AttributeVolumes = "volumes"
	VolumesDisk      = "disk"
)

// KeepsVolumes reports whether the owner says that volumes of services are on the node's disk.
func (n Node) KeepsVolumes() bool {
	return slices.Contains(n.Attributes, Attribute{Key: AttributeVolumes, Value: VolumesDisk})
}

// WithVolumes returns the node's attributes, sorted by key, with volumes on disk or without.
func (n Node) WithVolumes(onDisk bool) []Attribute {
	out := slices.DeleteFunc(slices.Clone(n.Attributes), func(a Attribute) bool { return a.Key == AttributeVolumes })
	if !onDisk {
		return out
	}
	at, _ := slices.BinarySearchFunc(out, AttributeVolumes, func(a Attribute, key string) int { return cmp.Compare(a.Key, key) })
	return slices.Insert(out, at, Attribute{Key: AttributeVolumes, Value: VolumesDisk})
}
