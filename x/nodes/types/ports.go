package types

import (
	"slices"
)

const (
	// MinPort is the lowest host port of a range: those below are the machine's own.
	MinPort = 1_024
	maxPort = 65_535
	// MaxPorts is the most ports of a range; a node lists those in use.
	MaxPorts = 2_000

	maxAddressLength = 253
)

// Count is the number of ports of a range.
func (r PortRange) Count() uint32 {
	if r.From == 0 {
		return 0
	}
	return r.To - r.From + 1
}

// Has says whether a port is in the range.
func (r PortRange) Has(port uint32) bool { return r.From != 0 && port >= r.From && port <= r.To }

// Validate checks the bounds of a range; 0 to 0 is none.
func (r PortRange) Validate() error {
	switch {
	case r == PortRange{}:
		return nil
	case r.From < MinPort || r.To > maxPort || r.From > r.To:
		return ErrInvalidField.Wrapf("ports %d to %d; they must go up within %d to %d", r.From, r.To, MinPort, maxPort)
	case r.Count() > MaxPorts:
		return ErrInvalidField.Wrapf("ports %d to %d are %d; at most %d", r.From, r.To, r.Count(), MaxPorts)
	}
	return nil
}

// validateAddress checks a host name or an IP address; empty is none.
func validateAddress(address string) error {
	if len(address) > maxAddressLength {
		return ErrInvalidField.Wrapf("address has %d characters; at most %d", len(address), maxAddressLength)
	}
	for _, c := range []byte(address) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':' {
			return ErrInvalidField.Wrapf("address %q must be a host name in lower case or an IP address, without a port", address)
		}
	}
	return nil
}

// validateReach checks where services on a node are reached: there are ports only with an address.
func validateReach(address string, ports PortRange) error {
	if err := validateAddress(address); err != nil {
		return err
	}
	if err := ports.Validate(); err != nil {
		return err
	}
	if ports.Count() > 0 && address == "" {
		return ErrInvalidField.Wrap("ports are given without an address at which they are reached")
	}
	return nil
}

// validatePorts checks the list of ports in use against the range.
func (n Node) validatePorts() error {
	if err := validateReach(n.Address, n.Ports); err != nil {
		return err
	}
	for i, port := range n.PortsInUse {
		if !n.Ports.Has(port) || i > 0 && port <= n.PortsInUse[i-1] {
			return ErrInvalidField.Wrapf("ports_in_use[%d] is %d; they must increase strictly within %d to %d", i, port, n.Ports.From, n.Ports.To)
		}
	}
	return nil
}

// FreePorts is the number of ports that nothing holds.
func (n Node) FreePorts() uint32 { return n.Ports.Count() - uint32(len(n.PortsInUse)) }

// AssignPorts chooses a free host port for each one wanted: that port itself, or any for zero, by turns from the start-th of the range on.
// ErrNoCapacity if there are not enough.
func (n Node) AssignPorts(wanted []uint32, start uint64) ([]uint32, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	if uint32(len(wanted)) > n.FreePorts() {
		return nil, ErrNoCapacity.Wrapf("ports: %d are asked for, %d are free", len(wanted), n.FreePorts())
	}
	taken := slices.Clone(n.PortsInUse)
	take := func(port uint32) bool {
		at, found := slices.BinarySearch(taken, port)
		if !found {
			taken = slices.Insert(taken, at, port)
		}
		return !found
	}
	out := make([]uint32, len(wanted))
	for i, port := range wanted {
		if port == 0 {
			continue
		}
		if !n.Ports.Has(port) || !take(port) {
			return nil, ErrNoCapacity.Wrapf("port %d is not free", port)
		}
		out[i] = port
	}
	size := n.Ports.Count()
	next := uint32(start % uint64(size)) //nolint:gosec // below size, which is of 32 bits
	for i := range out {
		for out[i] == 0 { // the count above says that one is free
			if port := n.Ports.From + next; take(port) {
				out[i] = port
			}
			next = (next + 1) % size
		}
	}
	return out, nil
}

// TakePorts adds ports to those in use.
func (n *Node) TakePorts(ports []uint32) error {
	for _, port := range ports {
		at, found := slices.BinarySearch(n.PortsInUse, port)
		if found || !n.Ports.Has(port) {
			return ErrNoCapacity.Wrapf("port %d of %s is not free", port, n.Id)
		}
		n.PortsInUse = slices.Insert(n.PortsInUse, at, port)
	}
	return nil
}

// ReleasePorts takes ports from those in use.
func (n *Node) ReleasePorts(ports []uint32) error {
	for _, port := range ports {
		at, found := slices.BinarySearch(n.PortsInUse, port)
		if !found {
			return ErrInvalidField.Wrapf("port %d of %s is not in use", port, n.Id)
		}
		n.PortsInUse = slices.Delete(n.PortsInUse, at, at+1)
	}
	if len(n.PortsInUse) == 0 {
		n.PortsInUse = nil
	}
	return nil
}
