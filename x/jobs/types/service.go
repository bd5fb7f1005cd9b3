package types

import (
	"fmt"
	"strings"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// MaxReplicas is the most replicas of a service.
	MaxReplicas = 64
	// MaxPorts is the most ports of a service.
	MaxPorts = 16
	// maxFundedTime bounds what a submission pays for; top-ups bring more.
	maxFundedTime = maxSeconds

	maxPortName = 32
	maxPort     = 65_535
)

// IsService tells whether a job is a service.
func (j Job) IsService() bool { return j.Service != nil }

// HeldSeconds is for how long the money that a slice of a service holds pays: an epoch, and what passes until it is judged.
func (p Params) HeldSeconds() uint64 { return p.ServiceEpoch + p.ServiceWindow }

// Slices are the numbers of the slices of a replica that are open: the one that serves, and its successor if there is one.
func (r Replica) Slices() []uint32 {
	if r.Successor == 0 { // a successor is never the first slice of its job
		return []uint32{r.Slice}
	}
	return []uint32{r.Slice, r.Successor}
}

// Changing says whether a service is on its way to what is wanted.
func (s Service) Changing() bool {
	return s.Updating() && !s.Halted || len(s.Replicas) != int(s.Wanted)
}

// Updating says whether not all replicas run the target.
func (s Service) Updating() bool { return s.Target.Number != s.Stable.Number }

// Succeeds says whether a slice is the successor in a replica.
func (r Replica) Succeeds(slice uint32) bool { return r.Successor != 0 && r.Successor == slice }

// Runs says whether a revision runs the same as another one.
func (r Revision) Runs(other Revision) bool {
	return r.SpecDigest == other.SpecDigest && r.ImageDigest == other.ImageDigest
}

// Failing are the epochs in a row, up to the one that was judged last, in which a slice was unhealthy and not running.
func (s Serving) Failing(judged uint64) (unhealthy, notRunning uint32) {
	if s.UnhealthyEpoch == judged {
		unhealthy = s.Unhealthy
	}
	if s.NotRunningEpoch == judged {
		notRunning = s.NotRunning
	}
	return unhealthy, notRunning
}

// NameUnhealthy counts an epoch in which a quorum saw the slice unhealthy.
func (s *Serving) NameUnhealthy(epoch uint64) {
	s.Unhealthy, s.UnhealthyEpoch = inRow(s.Unhealthy, s.UnhealthyEpoch, epoch), epoch
}

// NameNotRunning counts an epoch in which a quorum saw the slice not running.
func (s *Serving) NameNotRunning(epoch uint64) {
	s.NotRunning, s.NotRunningEpoch = inRow(s.NotRunning, s.NotRunningEpoch, epoch), epoch
}

func inRow(count uint32, last, epoch uint64) uint32 {
	if count > 0 && last+1 == epoch {
		return count + 1
	}
	return 1
}

// HostPorts are the static ones of ports, with zero for each that may be any.
func HostPorts(ports []Port) []uint32 {
	out := make([]uint32, len(ports))
	for i, p := range ports {
		out[i] = p.HostPort
	}
	return out
}

// ServiceTerms is what an amount of seconds of a service costs at a price, with the fee and the burned fee of the epochs that begin in them.
func (p Params) ServiceTerms(price, seconds uint64) (terms Terms, burned uint64, err error) {
	if terms, err = TermsOf(price, seconds, p.Fee); err != nil {
		return Terms{}, 0, err
	}
	burned, err = escrowtypes.MulDiv(p.EpochFee, (seconds+p.ServiceEpoch-1)/p.ServiceEpoch, 1)
	return terms, burned, err
}

// ServiceBudget is what a submission takes for a service: for each replica the cap for the funded time, the oracles' fee on it, and the
// burned fee of its epochs.
func (p Params) ServiceBudget(m *MsgSubmitJob) (uint64, error) {
	part, burned, err := p.ServiceTerms(m.PriceCap, m.FundedTime)
	if err != nil {
		return 0, err
	}
	each, err := part.Sum()
	if err != nil {
		return 0, err
	}
	if each, err = escrowtypes.AddChecked(each, burned); err != nil {
		return 0, err
	}
	return escrowtypes.MulDiv(each, uint64(m.Replicas), 1)
}

// EpochCost is what the replicas of a service take from its pool each epoch at most.
func (p Params) EpochCost(s Service) (uint64, error) {
	terms, err := TermsOf(s.Rate, p.ServiceEpoch, p.Fee)
	if err != nil {
		return 0, err
	}
	cost, err := terms.Sum()
	if err != nil {
		return 0, err
	}
	burned, err := escrowtypes.MulDiv(p.EpochFee, uint64(len(s.Replicas)), 1)
	if err != nil {
		return 0, err
	}
	return escrowtypes.AddChecked(cost, burned)
}

// FundedUntil is until when a service is paid for at its present rate: its slices hold what pays them until the present epoch, which ends then,
// has been judged, and the pool pays whole epochs from there on. 2^62 if for longer.
func (p Params) FundedUntil(s Service, ends int64) (int64, error) {
	cost, err := p.EpochCost(s)
	if err != nil || cost == 0 {
		return 1 << 62, err
	}
	epochs := s.Pool / cost
	if epochs > 1<<61/p.ServiceEpoch {
		return 1 << 62, nil
	}
	return ends + int64(p.ServiceWindow+epochs*p.ServiceEpoch), nil
}

// validateKind checks what only services have, or that nothing of it is given.
func (m *MsgSubmitJob) validateKind() error {
	if m.Type != JOB_TYPE_SERVICE {
		switch {
		case m.Replicas > 1:
			return invalid("replicas", "%d; they are for services: give tasks, or use type %s", m.Replicas, JOB_TYPE_SERVICE)
		case len(m.Ports) > 0:
			return invalid("ports", "they are for services; leave them out or use type %s", JOB_TYPE_SERVICE)
		case m.FundedTime != 0:
			return invalid("funded_time", "it is for services; give max_duration or use type %s", JOB_TYPE_SERVICE)
		case m.KeepsVolumes:
			return invalid("keeps_volumes", "only services have volumes; leave it out or use type %s", JOB_TYPE_SERVICE)
		case m.Tasks == 0:
			return invalid("tasks", "0; it must be at least 1")
		case m.MinSuccess > m.Tasks:
			return invalid("min_success", "%d; it must be at most tasks, %d", m.MinSuccess, m.Tasks)
		case m.MaxDuration == 0:
			return invalid("max_duration", "0; give the seconds that a task may run")
		}
		return nil
	}
	for _, c := range []struct {
		field   string
		given   bool
		instead string
	}{
		{"tasks", m.Tasks != 0, "give replicas"},
		{"min_success", m.MinSuccess != 0, "leave it out"},
		{"max_duration", m.MaxDuration != 0, "give funded_time"},
		{"wishes.gang", m.Wishes != nil && m.Wishes.Gang, "replicas are placed one by one"},
	} {
		if c.given {
			return invalid(c.field, "it is not for services: %s", c.instead)
		}
	}
	if err := validateReplicas(m.Replicas); err != nil {
		return err
	}
	if m.FundedTime == 0 || m.FundedTime > maxFundedTime {
		return invalid("funded_time", "%d; it must be 1 to %d seconds", m.FundedTime, uint64(maxFundedTime))
	}
	return validatePorts(m.Ports)
}

func validateReplicas(n uint32) error {
	if n == 0 || n > MaxReplicas {
		return invalid("replicas", "%d; it must be 1 to %d", n, MaxReplicas)
	}
	return nil
}

func validatePorts(ports []Port) error {
	if len(ports) > MaxPorts {
		return invalid("ports", "%d entries; at most %d", len(ports), MaxPorts)
	}
	for i, p := range ports {
		field := fmt.Sprintf("ports[%d]", i)
		if p.Name == "" || len(p.Name) > maxPortName || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return invalid(field+".name", "%s; it must have 1 to %d of a-z, 0-9 and -", quote(p.Name), maxPortName)
		}
		if p.Protocol != PROTOCOL_TCP && p.Protocol != PROTOCOL_UDP {
			return invalid(field+".protocol", "%s; it must be %s or %s", p.Protocol, PROTOCOL_TCP, PROTOCOL_UDP)
		}
		if p.ContainerPort == 0 || p.ContainerPort > maxPort {
			return invalid(field+".container_port", "%d; it must be 1 to %d", p.ContainerPort, maxPort)
		}
		if p.HostPort != 0 && (p.HostPort < nodestypes.MinPort || p.HostPort > maxPort) {
			return invalid(field+".host_port", "%d; leave it out for any port, or give %d to %d", p.HostPort, nodestypes.MinPort, maxPort)
		}
		for _, other := range ports[:i] {
			switch {
			case p.Name == other.Name:
				return invalid(field+".name", "%s is there twice", quote(p.Name))
			case p.ContainerPort == other.ContainerPort && p.Protocol == other.Protocol:
				return invalid(field+".container_port", "%d is there twice for %s", p.ContainerPort, p.Protocol)
			case p.HostPort != 0 && p.HostPort == other.HostPort:
				return invalid(field+".host_port", "%d is there twice", p.HostPort)
			}
		}
	}
	return nil
}
