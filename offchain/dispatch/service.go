package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Service is what an assignment of a service has beyond that of a task: it has no end, it is reached from outside, and it keeps files.
type Service struct {
	// Ports are all that can be reached from outside.
	Ports []Port `json:"ports,omitempty"`
	// Health is how the dispatcher tells whether the service works.
	Health Health `json:"health"`
	// Volumes keep what is in them when the service is started again. They belong to the replica, and [Volumes] wipes them; a dispatcher
	// that has no disk for them wipes them when the service has been stopped.
	Volumes []Volume `json:"volumes,omitempty"`
	// InMemory says that the volumes belong to the attempt instead, and are memory everywhere.
	InMemory bool `json:"volumes_in_memory,omitempty"`
	// Outbound lets the service open connections; else it only answers those that come in through its ports.
	Outbound bool `json:"outbound,omitempty"`
}

// Protocols of a Port.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Port is a port inside the container that is published on the node. The program finds the number inside in the variable that Variable
// names.
type Port struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	// Container is the port inside, Host the one on the node.
	Container uint16 `json:"container"`
	Host      uint16 `json:"host"`
}

// Variable is the name of the environment variable that holds the port inside.
func (p Port) Variable() string {
	return "FOG_PORT_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
}

// Kinds of a Health.
const (
	HealthNone = "none" // a service that runs is healthy
	HealthHTTP = "http" // a GET is answered with a status from 200 to 399
	HealthTCP  = "tcp"  // a connection is taken
)

// Health is a check that goes through a published port, as those who use the service do.
type Health struct {
	Kind string `json:"kind"`
	// Port is the name of a TCP port, Path what HealthHTTP asks for.
	Port string `json:"port,omitempty"`
	Path string `json:"path,omitempty"`
	// Interval is the pause between two checks, Timeout how long one may take. Checks that fail within Grace from the start are not
	// counted.
	Interval time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	Grace    time.Duration `json:"grace,omitempty"`
}

// Volume is a folder that outlives the container.
type Volume struct {
	Name string `json:"name"`
	// Path is where the volume is in the container.
	Path    string `json:"path"`
	SizeMiB uint32 `json:"size_mib"`
}

const (
	// MaxPorts and MaxVolumes are the most that a service can have.
	MaxPorts   = 16
	MaxVolumes = 8

	maxServiceName = 32
	maxHealthPath  = 1024

	minHealthInterval = time.Second
	maxHealthInterval = 5 * time.Minute
	maxHealthGrace    = time.Hour
)

// Volume returns the sum of the sizes of all volumes.
func (s Service) Volume() (mib uint64) {
	for _, v := range s.Volumes {
		mib += uint64(v.SizeMiB)
	}
	return mib
}

// Port finds a port by its name.
func (s Service) Port(name string) (Port, bool) {
	i := slices.IndexFunc(s.Ports, func(p Port) bool { return p.Name == name })
	if i < 0 {
		return Port{}, false
	}
	return s.Ports[i], true
}

// validate checks the service of an assignment with room for storageMiB.
func (s Service) validate(storageMiB uint32) error {
	if len(s.Ports) > MaxPorts || len(s.Volumes) > MaxVolumes {
		return fmt.Errorf("%d ports and %d volumes; at most %d and %d", len(s.Ports), len(s.Volumes), MaxPorts, MaxVolumes)
	}
	for i, p := range s.Ports {
		if err := s.validatePort(i, p); err != nil {
			return err
		}
	}
	for i, v := range s.Volumes {
		if err := s.validateVolume(i, v); err != nil {
			return err
		}
	}
	if sum := s.Volume(); sum > uint64(storageMiB) {
		return fmt.Errorf("the volumes take %d MiB, storage_mib is %d", sum, storageMiB)
	}
	return s.validateHealth()
}

func (s Service) validatePort(i int, p Port) error {
	if err := ServiceName(p.Name); err != nil {
		return fmt.Errorf("port %d: %w", i, err)
	}
	switch {
	case p.Protocol != TCP && p.Protocol != UDP:
		return fmt.Errorf("port %s: protocol %q; use %q or %q", p.Name, p.Protocol, TCP, UDP)
	case p.Container == 0 || p.Host == 0:
		return fmt.Errorf("port %s: container port %d on host port %d; both are 1 to 65535", p.Name, p.Container, p.Host)
	}
	for _, q := range s.Ports[:i] {
		if p.Name == q.Name || p.Protocol == q.Protocol && (p.Container == q.Container || p.Host == q.Host) {
			return fmt.Errorf("ports %s and %s share their name or a number", q.Name, p.Name)
		}
	}
	return nil
}

// ServiceName accepts names of ports and volumes: lower-case letters, digits and single dashes, from a letter on.
func ServiceName(name string) error {
	bad := name == "" || len(name) > maxServiceName || name[0] < 'a' || name[0] > 'z' || strings.HasSuffix(name, "-") || strings.Contains(name, "--")
	for _, c := range name {
		bad = bad || !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if bad {
		return fmt.Errorf("name %.40q; use a letter and then lower-case letters, digits and single dashes, at most %d", name, maxServiceName)
	}
	return nil
}

// takenPaths are folders of a container that a volume can neither hide nor lie in.
var takenPaths = []string{"/in", "/tmp", "/proc", "/sys", "/dev", "/etc"}

// VolumePath accepts the path of a volume: absolute, clean, not the root, and of no folder that the container needs itself.
func VolumePath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || len(p) > maxHealthPath || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == ',' || c == ':' }) {
		return fmt.Errorf("path %.60q; use an absolute path without '.', '..', commas, colons and spaces", p)
	}
	for _, taken := range takenPaths {
		if within(p, taken) {
			return fmt.Errorf("path %q lies in %s, which the container needs itself", p, taken)
		}
	}
	return nil
}

// Overlap reports whether two clean paths are the same or one lies in the other.
func Overlap(p, q string) bool { return within(p, q) || within(q, p) }

func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func (s Service) validateVolume(i int, v Volume) error {
	if err := ServiceName(v.Name); err != nil {
		return fmt.Errorf("volume %d: %w", i, err)
	}
	if err := VolumePath(v.Path); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	if v.SizeMiB == 0 {
		return fmt.Errorf("volume %s has no size", v.Name)
	}
	for _, w := range s.Volumes[:i] {
		if v.Name == w.Name || Overlap(v.Path, w.Path) {
			return fmt.Errorf("volumes %s and %s share their name or lie in each other", w.Name, v.Name)
		}
	}
	return nil
}

func (s Service) validateHealth() error {
	h := s.Health
	if h.Kind == HealthNone {
		if h != (Health{Kind: HealthNone}) {
			return fmt.Errorf("health of kind %q takes nothing else", HealthNone)
		}
		return nil
	}
	port, ok := s.Port(h.Port)
	switch {
	case h.Kind != HealthHTTP && h.Kind != HealthTCP:
		return fmt.Errorf("health of kind %q; use %q, %q or %q", h.Kind, HealthHTTP, HealthTCP, HealthNone)
	case !ok || port.Protocol != TCP:
		return fmt.Errorf("health asks port %q; name a TCP port of the service", h.Port)
	case (h.Kind == HealthHTTP) != (h.Path != ""):
		return fmt.Errorf("health of kind %q with path %.60q; %q has a path, %q has none", h.Kind, h.Path, HealthHTTP, HealthTCP)
	case h.Interval < minHealthInterval || h.Interval > maxHealthInterval || h.Timeout <= 0 || h.Timeout > h.Interval:
		return fmt.Errorf("health every %s within %s; check every %s to %s, and within that", h.Interval, h.Timeout, minHealthInterval, maxHealthInterval)
	case h.Grace < 0 || h.Grace > maxHealthGrace:
		return fmt.Errorf("health with a grace of %s; at most %s", h.Grace, maxHealthGrace)
	}
	return HealthPath(h.Path)
}

// HealthPath accepts a path that can be asked for with GET, or none.
func HealthPath(p string) error {
	if p == "" {
		return nil
	}
	if p[0] != '/' || len(p) > maxHealthPath || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c > '~' || c == '#' }) {
		return fmt.Errorf("health path %.60q; it begins with '/' and has no spaces", p)
	}
	return nil
}

// ServicePhase is where a service is in its life.
type ServicePhase string

// The phases. A service begins with starting and ends with stopped; it may restart and change its health any number of times.
const (
	ServiceStarting   ServicePhase = "starting"   // it is made ready, or waits for room
	ServiceRunning    ServicePhase = "running"    // it runs, and no check has told how it is
	ServiceHealthy    ServicePhase = "healthy"    // it runs, and the last check succeeded or there is none
	ServiceUnhealthy  ServicePhase = "unhealthy"  // it runs, and several checks in a row failed
	ServiceRestarting ServicePhase = "restarting" // it ended, and is started again after a pause
	ServiceStopped    ServicePhase = "stopped"    // it has ended for good
)

// Runs reports whether there is a process in this phase.
func (p ServicePhase) Runs() bool {
	return p == ServiceRunning || p == ServiceHealthy || p == ServiceUnhealthy
}

// ServiceState is how a service is.
type ServiceState struct {
	Phase ServicePhase `json:"phase"`
	// Reason is why it stopped or restarts, else empty.
	Reason   Reason `json:"reason,omitempty"`
	ExitCode uint32 `json:"exit_code,omitempty"`
	// Message explains the phase in one line, for people.
	Message string `json:"message,omitempty"`
	// Restarts counts how often this process has started the service again.
	Restarts uint32 `json:"restarts"`
	// Since is when it became so.
	Since time.Time `json:"since"`
}

// Services is a dispatcher that runs services, too. Watch of a service waits until it has stopped; the outcome's only task has the
// reason.
type Services interface {
	Dispatcher
	// States passes the state of a service, now and at each change, until it has stopped, and returns the last one. Who takes very long
	// over one state may miss others, but not the last.
	States(ctx context.Context, id AttemptID, onState func(ServiceState)) (ServiceState, error)
}

// Replica names what the volumes of a service belong to: a task of a job, whatever attempt runs it.
type Replica struct {
	Job  string `json:"job"`
	Task uint32 `json:"task"`
}

// Compare orders replicas by job and task.
func (r Replica) Compare(other Replica) int {
	return cmp.Or(cmp.Compare(r.Job, other.Job), cmp.Compare(r.Task, other.Task))
}

// Volumes is a dispatcher of services that keeps their volumes on disk until it is told to wipe them: when the chain has the replica on
// this node no more.
type Volumes interface {
	// Volumes are the replicas that have any.
	Volumes() ([]Replica, error)
	// Wipe removes the volumes of a replica that does not run here; of one that does it removes nothing and returns an error.
	Wipe(ctx context.Context, r Replica) error
}
