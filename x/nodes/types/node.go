package types

import (
	"crypto/ed25519"
	"fmt"

	"cosmossdk.io/core/address"
)

// Validate names the first thing that contradicts another in a record of the state.
func (n Node) Validate(addresses address.Codec) error {
	if _, err := ParseNodeID(n.Id); err != nil {
		return ErrInvalidField.Wrapf("id: %s", err)
	}
	owner, err := addresses.StringToBytes(n.Owner)
	if err != nil {
		return ErrInvalidField.Wrapf("owner %q is not an address: %s", n.Owner, err)
	}
	// Owners are compared as text, so each has one text.
	if canonical, err := addresses.BytesToString(owner); err != nil || canonical != n.Owner {
		return ErrInvalidField.Wrapf("owner %q is not in canonical form; write it in lower case", n.Owner)
	}
	if len(n.AgentKey) != ed25519.PublicKeySize {
		return ErrInvalidField.Wrapf("agent_key has %d bytes; an ed25519 public key has %d", len(n.AgentKey), ed25519.PublicKeySize)
	}
	for _, check := range []func() error{
		func() error { return ValidateBoot(n.Boot) },
		func() error { return place("region", n.Region) },
		func() error { return place("datacenter", n.Datacenter) },
		n.Hardware.Validate,
		func() error { return n.Declared.validate("declared") },
		func() error { return n.Measured.validate("measured") },
		func() error { return validateAttributes(n.Attributes) },
		n.Prices.Validate,
		n.validateWork,
		n.validateStatus,
		n.validateOutages,
		n.validateAbsences,
		n.Rating.Validate,
		n.Location.Validate,
		n.Network.Validate,
		func() error { return validateEngines(n.Engines) },
		n.validatePorts,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (n Node) validateWork() error {
	for _, c := range []struct {
		name       string
		value, max uint64
	}{
		{"cpu_milli", n.Capacity.CpuMilli, maxCPUMilli},
		{"memory_mib", n.Capacity.MemoryMib, maxMiB},
		{"storage_mib", n.Capacity.StorageMib, maxMiB},
		{"gpus", n.Capacity.Gpus, maxGPUs},
	} {
		if c.value > c.max {
			return ErrInvalidField.Wrapf("capacity.%s is %d; it must be at most %d", c.name, c.value, c.max)
		}
	}
	if err := n.Reserved.FitsIn(n.Capacity); err != nil {
		return fmt.Errorf("reserved: %w", err)
	}
	if (n.RunningTasks == 0) != (n.Reserved == Resources{}) {
		return ErrInvalidField.Wrapf("running_tasks is %d, but reserved is %v", n.RunningTasks, n.Reserved)
	}
	return nil
}

func (n Node) validateStatus() error {
	if _, known := NodeStatus_name[int32(n.Status)]; !known || n.Status == NODE_STATUS_UNSPECIFIED {
		return ErrInvalidField.Wrapf("status %d is not known", n.Status)
	}
	working := n.Status.Live() && n.Status != NODE_STATUS_PENDING
	switch {
	case n.Activated != (n.Index != 0):
		return ErrInvalidField.Wrapf("index is %d, but activated is %t", n.Index, n.Activated)
	case working && !n.Activated:
		return ErrInvalidField.Wrapf("status is %s, but the node was never activated", n.Status)
	case n.Activated && (n.Status == NODE_STATUS_PENDING || n.Status == NODE_STATUS_REFUSED):
		return ErrInvalidField.Wrapf("status is %s, but the node was activated", n.Status)
	case !working && n.RunningTasks > 0:
		return ErrInvalidField.Wrapf("status is %s, but %d tasks run", n.Status, n.RunningTasks)
	case !n.Status.Live() && n.Deposit > 0:
		return ErrInvalidField.Wrapf("status is %s, but a deposit of %d is locked", n.Status, n.Deposit)
	case n.Condemned && n.Status != NODE_STATUS_JAILED && n.Status != NODE_STATUS_RETIRED:
		return ErrInvalidField.Wrapf("status is %s, but the node is condemned", n.Status)
	case n.BenchmarkStart < 0 || n.BelowTime < 0 || n.BenchmarkStart != 0 && n.BenchmarkUntil == 0 || n.BelowTime != 0 && n.BenchmarkTries == 0:
		return ErrInvalidField.Wrapf("benchmark_start %d and below_time %d must not be negative, the first needs an open benchmark, the other a try that counts",
			n.BenchmarkStart, n.BelowTime)
	case n.Condemned && n.Offences == 0:
		return ErrInvalidField.Wrap("condemned without an offence")
	case n.Status == NODE_STATUS_DRAINING && !n.Draining:
		return ErrInvalidField.Wrap("status is DRAINING, but draining is false")
	}
	return nil
}

func (n Node) validateOutages() error {
	if len(n.Outages) > MaxJailTransitions+1 {
		return ErrInvalidField.Wrapf("outages holds %d; at most %d", len(n.Outages), MaxJailTransitions+1)
	}
	for i, o := range n.Outages {
		last := i == len(n.Outages)-1
		if o.To == 0 && !last || o.To != 0 && o.To < o.From || i > 0 && o.From < n.Outages[i-1].To {
			return ErrInvalidField.Wrapf("outages[%d] from %d to %d; they must follow each other, and only the last may be open", i, o.From, o.To)
		}
	}
	if open := len(n.Outages) > 0 && n.Outages[len(n.Outages)-1].To == 0; n.Status == NODE_STATUS_INACTIVE && !open {
		return ErrInvalidField.Wrap("status is INACTIVE, but no outage is open")
	}
	return nil
}

// Validate refuses a place that is not on the Earth; none is none.
func (l *Location) Validate() error {
	if l == nil {
		return nil
	}
	if l.Latitude < -90_000_000 || l.Latitude > 90_000_000 || l.Longitude < -180_000_000 || l.Longitude > 180_000_000 {
		return ErrInvalidField.Wrapf("latitude %d and longitude %d must lie within ±90 and ±180 degrees, in millionths", l.Latitude, l.Longitude)
	}
	return nil
}
