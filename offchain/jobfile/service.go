package jobfile

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// MaxReplicas is the most replicas of a service.
const MaxReplicas = 64

// minHostPort is the first port that nodes lend.
const minHostPort = 1024

// Defaults of a health check.
const (
	healthInterval = Seconds(10)
	healthTimeout  = Seconds(2)
	healthGrace    = Seconds(60)
)

// Port is a port of a service.
type Port struct {
	Name          string `yaml:"name" jsonschema:"required,pattern=^[a-z]([a-z0-9-]{0\\,30}[a-z0-9])?$" jsonschema_description:"Name of the port. The program finds its number in FOG_PORT_<NAME>."`
	ContainerPort uint32 `yaml:"container_port" jsonschema:"required,minimum=1,maximum=65535" jsonschema_description:"Port that the program listens on."`
	Protocol      string `yaml:"protocol" jsonschema:"enum=tcp,enum=udp,default=tcp" jsonschema_description:"tcp or udp."`
	HostPort      uint32 `yaml:"host_port" jsonschema:"maximum=65535,default=0" jsonschema_description:"Port of the node, if it must be a certain one, from 1024 on; then only nodes will do where it is free."`
}

// Health is how a node finds out whether a service works.
type Health struct {
	Kind     string  `yaml:"kind" jsonschema:"required,enum=http,enum=tcp,enum=none" jsonschema_description:"http asks for a path, which must be answered with a status from 200 to 399; tcp connects; none takes a service that runs for healthy."`
	Port     string  `yaml:"port" jsonschema_description:"Name of the TCP port to ask."`
	Path     string  `yaml:"path" jsonschema_description:"What to ask for with http, such as /health."`
	Interval Seconds `yaml:"interval" jsonschema:"default=10s" jsonschema_description:"Pause between two checks, 1s to 5m."`
	Timeout  Seconds `yaml:"timeout" jsonschema:"default=2s" jsonschema_description:"How long a check may take, at most as long as the interval."`
	Grace    Seconds `yaml:"grace" jsonschema:"default=1m" jsonschema_description:"How long after its start a service may fail its checks."`
}

// Volume is a folder that outlives restarts of a service.
type Volume struct {
	Name string `yaml:"name" jsonschema:"required,pattern=^[a-z]([a-z0-9-]{0\\,30}[a-z0-9])?$" jsonschema_description:"Name of the volume."`
	Path string `yaml:"path" jsonschema:"required,minLength=2" jsonschema_description:"Where the program finds it, such as /data."`
	Size MiB    `yaml:"size" jsonschema:"required" jsonschema_description:"Room on the node's disk, such as 64MiB, with what its file system takes. All volumes together fit into resources.storage."`
}

// ServiceSpec is what a spec says of a service. The node's ports are not in it: the chain assigns them.
type ServiceSpec struct {
	Ports    []PortSpec   `json:"ports"`
	Health   HealthSpec   `json:"health"`
	Volumes  []VolumeSpec `json:"volumes"`
	Outbound bool         `json:"outbound"`
}

// PortSpec is a port in a spec.
type PortSpec struct {
	Name          string `json:"name"`
	Protocol      string `json:"protocol"`
	ContainerPort uint32 `json:"container_port"`
}

// HealthSpec is a health check in a spec; only its kind is set if that is none.
type HealthSpec struct {
	Kind     string  `json:"kind"`
	Port     string  `json:"port"`
	Path     string  `json:"path"`
	Interval Seconds `json:"interval"`
	Timeout  Seconds `json:"timeout"`
	Grace    Seconds `json:"grace"`
}

// VolumeSpec is a volume in a spec.
type VolumeSpec struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Size MiB    `json:"size_mib"`
}

// givesService reports whether a file has a field that only services have, and which.
func (f *File) givesService() (field string, given bool) {
	for _, c := range []struct {
		field string
		given bool
	}{
		{"replicas", f.Replicas != 0}, {"funded_time", f.FundedTime != 0}, {"ports", len(f.Ports) > 0}, {"health", f.Health != nil},
		{"volumes", len(f.Volumes) > 0}, {"keep_volumes", f.KeepVolumes != nil}, {"outbound", f.Outbound},
	} {
		if c.given {
			return c.field, true
		}
	}
	return "", false
}

// KeepsVolumes reports whether a service has volumes that must outlive its updates.
func (f *File) KeepsVolumes() bool {
	return len(f.Volumes) > 0 && (f.KeepVolumes == nil || *f.KeepVolumes)
}

// ReplicaCount is how many replicas a service has.
func (f *File) ReplicaCount() uint32 { return max(f.Replicas, 1) }

// service is what the file says of a service, with defaults.
func (f *File) service() *ServiceSpec {
	s := &ServiceSpec{Ports: []PortSpec{}, Volumes: []VolumeSpec{}, Outbound: f.Outbound, Health: HealthSpec{Kind: dispatch.HealthNone}}
	for _, p := range f.Ports {
		if p.Protocol == "" {
			p.Protocol = dispatch.TCP
		}
		s.Ports = append(s.Ports, PortSpec{Name: p.Name, Protocol: p.Protocol, ContainerPort: p.ContainerPort})
	}
	for _, v := range f.Volumes {
		s.Volumes = append(s.Volumes, VolumeSpec(v))
	}
	if f.Health != nil {
		s.Health = HealthSpec(*f.Health)
	}
	if s.Health.Kind != dispatch.HealthNone {
		for _, d := range []struct {
			to      *Seconds
			missing Seconds
		}{
			{&s.Health.Interval, healthInterval}, {&s.Health.Timeout, min(healthTimeout, max(s.Health.Interval, 1))}, {&s.Health.Grace, healthGrace},
		} {
			if *d.to == 0 {
				*d.to = d.missing
			}
		}
	}
	return s
}

// checkService holds the rules between type and fields.
func (f *File) checkService(l *problemList) {
	if f.Type != TypeService {
		if field, given := f.givesService(); given {
			l.add(field, "is for services; write type: service, or remove it")
		}
		return
	}
	if f.Engine != EngineDocker {
		l.add("engine", "is %q, and services are containers; write engine: docker", clip(f.Engine))
	}
	for _, c := range []struct {
		field string
		given bool
		use   string
	}{
		{"tasks", f.Tasks != 1, "say how many run with replicas"}, {"max_duration", f.MaxDuration != 0, "say with funded_time for how long to pay"},
		{"min_success", f.MinSuccess != nil, "it has no end"},
	} {
		if c.given {
			l.add(c.field, "is not for services: %s", c.use)
		}
	}
	inRange(l, "replicas", f.ReplicaCount(), 1, MaxReplicas)
	if f.KeepVolumes != nil && len(f.Volumes) == 0 {
		l.add("keep_volumes", "is for services with volumes; name some, or remove it")
	}
	if f.FundedTime == 0 {
		l.add("funded_time", "is missing; say for how long the submission pays, such as 24h")
	} else {
		inRange(l, "funded_time", f.FundedTime, 1, MaxSeconds)
	}
	for i, p := range f.Ports {
		field := fmt.Sprintf("ports[%d].host_port", i)
		if p.HostPort != 0 && p.HostPort < minHostPort || p.HostPort > math.MaxUint16 {
			l.add(field, "is %d; use %d to %d, or leave it out", p.HostPort, minHostPort, math.MaxUint16)
		}
		same := func(q Port) bool { return p.HostPort != 0 && q.HostPort == p.HostPort }
		if slices.ContainsFunc(f.Ports[:i], same) {
			l.add(field, "is %d again; each port has one of its own", p.HostPort)
		}
	}
	f.service().check(l, "", f.Resources.Storage)
}

// check holds the rules of files and of specs, whose fields lie below prefix.
func (s *ServiceSpec) check(l *problemList, prefix string, storage MiB) {
	if len(s.Ports) > dispatch.MaxPorts {
		l.add(prefix+"ports", "has %d entries; use at most %d", len(s.Ports), dispatch.MaxPorts)
	}
	for i, p := range s.Ports {
		at := fmt.Sprintf("%sports[%d]", prefix, i)
		checkName(l, at+".name", p.Name)
		inRange(l, at+".container_port", p.ContainerPort, 1, math.MaxUint16)
		if p.Protocol != dispatch.TCP && p.Protocol != dispatch.UDP {
			l.add(at+".protocol", "is %q; use %s or %s", clip(p.Protocol), dispatch.TCP, dispatch.UDP)
		}
		same := func(q PortSpec) bool {
			return p.Name == q.Name || p.Protocol == q.Protocol && p.ContainerPort == q.ContainerPort
		}
		if slices.ContainsFunc(s.Ports[:i], same) {
			l.add(at, "has the name or the number of a port before; change one")
		}
	}
	s.checkVolumes(l, prefix, storage)
	s.checkHealth(l, prefix+"health")
}

func checkName(l *problemList, field, name string) {
	if err := dispatch.ServiceName(name); err != nil {
		l.add(field, "is no good: %w", err)
	}
}

func (s *ServiceSpec) checkVolumes(l *problemList, prefix string, storage MiB) {
	if len(s.Volumes) > dispatch.MaxVolumes {
		l.add(prefix+"volumes", "has %d entries; use at most %d", len(s.Volumes), dispatch.MaxVolumes)
		return
	}
	var sum MiB
	for i, v := range s.Volumes {
		at := fmt.Sprintf("%svolumes[%d]", prefix, i)
		checkName(l, at+".name", v.Name)
		if err := dispatch.VolumePath(v.Path); err != nil {
			l.add(at+".path", "is no good: %w", err)
		}
		inRange(l, at+".size", v.Size, 1, MaxStorage)
		sum += min(v.Size, MaxStorage)
		for _, w := range s.Volumes[:i] {
			if v.Name == w.Name || dispatch.Overlap(v.Path, w.Path) {
				l.add(at, "has the name of a volume before, or one lies in the other; change one")
			}
		}
	}
	if sum > storage {
		l.add(prefix+"volumes", "take %v together, and the storage is %v; raise resources.storage", sum, storage)
	}
}

func (s *ServiceSpec) checkHealth(l *problemList, field string) {
	h := s.Health
	switch h.Kind {
	case dispatch.HealthNone:
		if h != (HealthSpec{Kind: dispatch.HealthNone}) {
			l.add(field, "is none, which needs nothing else; remove the rest, or use http or tcp")
		}
		return
	case dispatch.HealthHTTP, dispatch.HealthTCP:
	default:
		l.add(field+".kind", "is %q; use %s, %s or %s", clip(h.Kind), dispatch.HealthHTTP, dispatch.HealthTCP, dispatch.HealthNone)
		return
	}
	asked := func(p PortSpec) bool { return p.Name == h.Port && p.Protocol == dispatch.TCP }
	if !slices.ContainsFunc(s.Ports, asked) {
		l.add(field+".port", "is %q; name one of the TCP ports", clip(h.Port))
	}
	switch {
	case h.Kind == dispatch.HealthTCP && h.Path != "":
		l.add(field+".path", "is for http; remove it, or use kind: http")
	case h.Kind == dispatch.HealthHTTP && h.Path == "":
		l.add(field+".path", "is missing; say what to ask for, such as /health")
	default:
		if err := dispatch.HealthPath(h.Path); err != nil {
			l.add(field+".path", "is no good: %w", err)
		}
	}
	inRange(l, field+".interval", h.Interval, 1, 300)
	inRange(l, field+".timeout", h.Timeout, 1, max(min(h.Interval, 300), 1))
	inRange(l, field+".grace", h.Grace, 1, 3600)
}

// Dispatch is the service of an assignment, with the node's ports by name. The spec must be valid.
func (s *ServiceSpec) Dispatch(hostPorts map[string]uint16) (*dispatch.Service, error) {
	out := &dispatch.Service{Outbound: s.Outbound, Health: dispatch.Health{
		Kind: s.Health.Kind, Port: s.Health.Port, Path: s.Health.Path, Interval: time.Duration(s.Health.Interval) * time.Second, //nolint:gosec // check has bounded the times
		Timeout: time.Duration(s.Health.Timeout) * time.Second, Grace: time.Duration(s.Health.Grace) * time.Second, //nolint:gosec // check has bounded the times
	}}
	for _, p := range s.Ports {
		host, ok := hostPorts[p.Name]
		if !ok {
			return nil, fmt.Errorf("%w: port %s of the service has no port of the node", ErrSpec, p.Name)
		}
		out.Ports = append(out.Ports, dispatch.Port{Name: p.Name, Protocol: p.Protocol, Container: uint16(p.ContainerPort), Host: host}) //nolint:gosec // check has bounded the port
	}
	for _, v := range s.Volumes {
		out.Volumes = append(out.Volumes, dispatch.Volume{Name: v.Name, Path: v.Path, SizeMiB: uint32(v.Size)}) //nolint:gosec // check has bounded the size
	}
	return out, nil
}

// canonical is the service's part of the canonical form.
func (s *ServiceSpec) canonical() json.RawMessage {
	ports := make([]json.RawMessage, len(s.Ports))
	for i, p := range s.Ports {
		ports[i] = canonicalObject(map[string]json.RawMessage{
			"name": canonicalString(p.Name), "protocol": canonicalString(p.Protocol), "container_port": canonicalUint(uint64(p.ContainerPort)),
		})
	}
	volumes := make([]json.RawMessage, len(s.Volumes))
	for i, v := range s.Volumes {
		volumes[i] = canonicalObject(map[string]json.RawMessage{
			"name": canonicalString(v.Name), "path": canonicalString(v.Path), "size_mib": canonicalUint(uint64(v.Size)),
		})
	}
	h := s.Health
	return canonicalObject(map[string]json.RawMessage{
		"ports": canonicalArray(ports), "volumes": canonicalArray(volumes), "outbound": canonicalBool(s.Outbound),
		"health": canonicalObject(map[string]json.RawMessage{
			"kind": canonicalString(h.Kind), "port": canonicalString(h.Port), "path": canonicalString(h.Path),
			"interval": canonicalUint(uint64(h.Interval)), "timeout": canonicalUint(uint64(h.Timeout)), "grace": canonicalUint(uint64(h.Grace)),
		}),
	})
}
