package types

import (
	"fmt"
	"slices"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Validate checks lists, lengths and ids; no value may be named twice.
func (c Constraints) Validate() error {
	for _, list := range []struct {
		name   string
		values []string
		max    int
		check  func(field, value string) error
	}{
		{"constraints.regions", c.Regions, MaxListLength, validateLabel},
		{"constraints.datacenters", c.Datacenters, MaxListLength, validateLabel},
		{"constraints.arch", c.Arch, MaxListLength, validateLabel},
		{"constraints.os", c.Os, MaxListLength, validateLabel},
		{"constraints.nodes", c.Nodes, MaxNodesListed, validateNodeID},
		{"constraints.exclude_nodes", c.ExcludeNodes, MaxNodesListed, validateNodeID},
	} {
		if len(list.values) > list.max {
			return invalid(list.name, "%d entries; at most %d", len(list.values), list.max)
		}
		for i, value := range list.values {
			if err := list.check(fmt.Sprintf("%s[%d]", list.name, i), value); err != nil {
				return err
			}
			if slices.Contains(list.values[:i], value) {
				return invalid(fmt.Sprintf("%s[%d]", list.name, i), "%s is named twice", quote(value))
			}
		}
	}
	if len(c.Attributes) > MaxListLength {
		return invalid("constraints.attributes", "%d entries; at most %d", len(c.Attributes), MaxListLength)
	}
	for i, a := range c.Attributes {
		if err := validateLabel(fmt.Sprintf("constraints.attributes[%d].key", i), a.Key); err != nil {
			return err
		}
		if err := validateLabel(fmt.Sprintf("constraints.attributes[%d].value", i), a.Value); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Attributes[:i], func(b nodestypes.Attribute) bool { return a.Key == b.Key }) {
			return invalid(fmt.Sprintf("constraints.attributes[%d].key", i), "%s is named twice", quote(a.Key))
		}
	}
	if _, known := nodestypes.NetworkGrade_name[int32(c.MinGrade)]; !known {
		return invalid("constraints.min_grade", "%d is not known", c.MinGrade)
	}
	if err := validateProfile("constraints.profile", c.Profile); err != nil {
		return err
	}
	return validateCondition("constraints.where", c.Where)
}

func validateNodeID(field, value string) error {
	if _, err := nodestypes.ParseNodeID(value); err != nil {
		return invalid(field, "%s", err)
	}
	return nil
}

// Check names the first constraint that a node breaks; ErrNoMatch.
func (c Constraints) Check(node nodestypes.Node) error {
	for _, rule := range []struct {
		name    string
		allowed []string
		value   string
	}{
		{"region", c.Regions, node.Region},
		{"datacenter", c.Datacenters, node.Datacenter},
		{"arch", c.Arch, node.Hardware.Arch},
		{"os", c.Os, node.Hardware.Os},
		{"node", c.Nodes, node.Id},
	} {
		if len(rule.allowed) > 0 && !slices.Contains(rule.allowed, rule.value) {
			return ErrNoMatch.Wrapf("%s %s is not among those asked for", rule.name, quote(rule.value))
		}
	}
	if slices.Contains(c.ExcludeNodes, node.Id) {
		return ErrNoMatch.Wrap("the job excludes the node")
	}
	for _, want := range c.Attributes {
		if !slices.Contains(node.Attributes, want) {
			return ErrNoMatch.Wrapf("attribute %s is not %s", want.Key, quote(want.Value))
		}
	}
	if node.Measured.CpuSingle < c.MinCpuSingle {
		return ErrNoMatch.Wrapf("measured cpu_single %d is below %d", node.Measured.CpuSingle, c.MinCpuSingle)
	}
	return nil
}
