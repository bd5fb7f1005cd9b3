package nomad

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

const (
	jobPrefix = "fog-"
	groupName = "slice"
	taskName  = "run"
	// prepareName is the task before it, if it is of a job's image.
	prepareName = "prepare"

	metaNode        = "fog_node"
	metaJob         = "fog_job"
	metaSlice       = "fog_slice"
	metaAttempt     = "fog_attempt"
	metaFingerprint = "fog_fingerprint"
	metaDeadline    = "fog_deadline"

	// runnerMemoryMiB is what a container has beside the task's own limit: the runner, and the compiler of WebAssembly.
	runnerMemoryMiB = 256
	runnerPIDs      = 256
	runnerUser      = "65534:65534"
	// scratchMiB is room for the module, the log and the compiled module.
	scratchMiB = 128
	// spare is what a task's allocation may take beyond the task's own limit, for downloads and compiling.
	spare = 5 * time.Minute
	// disconnectedStop is when a client that lost its servers stops what it runs; the chain gives the attempt to another node after 120 s.
	disconnectedStop = 60 * time.Second
	killTimeout      = 5 * time.Second

	cacheName, cachePath = "cache", "/cache"
)

// JobID is the id of the Nomad job of an attempt on a node.
func JobID(id dispatch.AttemptID, node string) string {
	sum := sha256.Sum256([]byte(node))
	return fmt.Sprintf("%s%s-s%d-a%d-%s", jobPrefix, id.Job, id.Slice, id.Attempt, hex.EncodeToString(sum[:4]))
}

// DefaultNamespace is that of jobs of nodes that name none.
const DefaultNamespace = api.DefaultNamespace

func namespaceOf(p Placement) string { return cmp.Or(p.Namespace, DefaultNamespace) }

// Machine is what a Nomad client has, as far as a job depends on it.
type Machine struct {
	// MHz is the compute of all Cores together.
	MHz, Cores int64
	MemoryMiB  int64
	// Client is its id in Nomad. Disk says that it makes volumes of services on its disk; else they are memory.
	Client string
	Disk   bool
}

// mhz translates thousandths of a processor.
func (m Machine) mhz(cpuMilli uint32) int64 {
	per := 1000 * max(m.Cores, 1)
	return max((int64(cpuMilli)*m.MHz+per-1)/per, 1)
}

// keeps reports whether the volumes of a service are on the client's disk: those that belong to the attempt are memory.
func (m Machine) keeps(a dispatch.Assignment) bool {
	return m.Disk && a.Service != nil && len(a.Service.Volumes) > 0 && !a.Service.InMemory
}

// beside is what a container has beside the task's own memory: for the runner, and for the volumes of a service that are memory.
func (m Machine) beside(a dispatch.Assignment) int64 {
	switch {
	case a.Service != nil && !m.keeps(a):
		return inside.MemoryMiB + int64(a.Service.Volume())
	case a.Engine == dispatch.EngineDocker:
		return inside.MemoryMiB
	}
	return runnerMemoryMiB
}

// fits reports whether one task can ever run there.
func (m Machine) fits(a dispatch.Assignment) error {
	beside := m.beside(a)
	if len(a.Secrets) > 0 {
		beside += lendMemoryMiB
	}
	if int64(a.CPUMilli) > 1000*m.Cores || int64(a.MemoryMiB)+beside > m.MemoryMiB {
		return fmt.Errorf("%w: a task needs %d cpu_milli and %d+%d MiB of memory; this node gives %d and %d",
			dispatch.ErrInvalidAssignment, a.CPUMilli, a.MemoryMiB, beside, 1000*m.Cores, m.MemoryMiB)
	}
	return nil
}

func (m Machine) resources(a dispatch.Assignment) *api.Resources {
	return &api.Resources{CPU: new(int(m.mhz(a.CPUMilli))), MemoryMB: new(int(int64(a.MemoryMiB) + m.beside(a)))}
}

// Job is the Nomad job of an attempt: a function of its arguments only.
func Job(a dispatch.Assignment, p Placement, m Machine, c Content, image Image) (*api.Job, error) {
	fingerprint, err := a.Fingerprint()
	if err != nil {
		return nil, err
	}
	if image.Username == "" {
		image.Username, image.Password = c.RunnerUsername, c.RunnerPassword
	}
	group, err := group(a, m, c, image)
	if err != nil {
		return nil, err
	}
	id := JobID(a.ID, p.Node)
	constraints := []*api.Constraint{{LTarget: "${meta." + metaNode + "}", Operand: "=", RTarget: p.Node}}
	if p.Class != "" {
		constraints = append(constraints, &api.Constraint{LTarget: "${node.class}", Operand: "=", RTarget: p.Class})
	}
	meta := map[string]string{
		metaJob: a.ID.Job, metaSlice: strconv.FormatUint(uint64(a.ID.Slice), 10), metaAttempt: strconv.FormatUint(uint64(a.ID.Attempt), 10),
		metaNode: p.Node, metaFingerprint: fingerprint.String(),
	}
	if !p.Deadline.IsZero() {
		meta[metaDeadline] = p.Deadline.UTC().Format(time.RFC3339)
	}
	job := &api.Job{
		ID: &id, Name: &id, Region: &p.Region, Type: new(api.JobTypeBatch), Priority: new(api.JobDefaultPriority),
		Namespace:   new(namespaceOf(p)),
		NodePool:    new(cmp.Or(p.Pool, api.NodePoolDefault)),
		Datacenters: []string{cmp.Or(p.Datacenter, "*")},
		Constraints: constraints, Meta: meta,
		TaskGroups: []*api.TaskGroup{group},
	}
	if a.Service != nil {
		job.Type = new(api.JobTypeService)
	}
	return job, nil
}

// group is what the tasks of a slice have in common, with what runs in each allocation.
func group(a dispatch.Assignment, m Machine, c Content, image Image) (*api.TaskGroup, error) {
	g := &api.TaskGroup{
		Name: new(groupName), Count: new(int(a.Tasks)),
		RestartPolicy:    &api.RestartPolicy{Attempts: new(0), Mode: new("fail")},
		ReschedulePolicy: &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)},
		Disconnect:       &api.DisconnectStrategy{StopOnClientAfter: new(disconnectedStop), Replace: new(false)},
		EphemeralDisk:    &api.EphemeralDisk{SizeMB: new(int(a.StorageMiB) + scratchMiB)},
	}
	if a.Service == nil {
		// Servers that do not know it yet rely on the runner's own clock alone.
		g.MaxRunDuration = new(a.MaxDuration + spare)
	}
	o, err := order(a, c)
	if err != nil {
		return nil, err
	}
	if a.Engine == dispatch.EngineDocker {
		if err := imageTasks(g, o, m, c, image); err != nil {
			return nil, err
		}
		return g, lends(g, a, image, o)
	}
	task, err := runnerTask(o, m, c, image)
	if err != nil {
		return nil, err
	}
	g.Tasks = []*api.Task{task}
	if image.CacheVolume != "" {
		shareCache(g, image.CacheVolume)
	}
	return g, lends(g, a, image, o)
}

// shareCache gives the runners of a group a host volume for compiled modules.
func shareCache(group *api.TaskGroup, volume string) {
	group.Volumes = map[string]*api.VolumeRequest{cacheName: {
		Name: cacheName, Type: "host", Source: volume,
	}}
	task := group.Tasks[0]
	task.VolumeMounts = []*api.VolumeMount{{Volume: new(cacheName), Destination: new(cachePath)}}
	task.Env = map[string]string{runner.EnvCache: cachePath}
}

// runnerTask is the container that runs one WebAssembly task.
func runnerTask(o runner.Order, m Machine, c Content, image Image) (*api.Task, error) {
	a := o.Assignment
	args, err := runner.Args(o)
	if err != nil {
		return nil, err
	}
	config := hardened(image.Ref, image.Username, image.Password)
	config["args"], config["pids_limit"] = args, runnerPIDs
	artifacts := []*api.TaskArtifact{download(c.Module, runner.ModuleFile)}
	if !a.Inputs.IsZero() {
		artifacts = append(artifacts, download(c.Inputs, runner.InputsFile))
	}
	return &api.Task{
		Name: taskName, Driver: "docker", User: runnerUser, Config: config, Artifacts: artifacts,
		Resources:   m.resources(a),
		KillTimeout: new(killTimeout), KillSignal: "SIGTERM", LogConfig: noLog(),
	}, nil
}

// hardened is the configuration that all containers have: no network, no rights, nothing to write to.
func hardened(ref, username, password string) map[string]any {
	config := map[string]any{
		"image": ref, "network_mode": "none", "readonly_rootfs": true, "cap_drop": []string{"all"}, "security_opt": []string{"no-new-privileges"},
		"cpu_hard_limit": true, "logging": []map[string]any{{"type": "none"}},
	}
	if username != "" {
		config["auth"] = []map[string]any{{"username": username, "password": password}}
	}
	return config
}

// noLog spares Nomad's collectors, which would be two more processes for each task: the runner keeps the task's log.
func noLog() *api.LogConfig {
	return &api.LogConfig{Disabled: new(true), MaxFiles: new(1), MaxFileSizeMB: new(1)}
}

// download brings one file as it is into the task's folder; its digest is the runner's business.
func download(s Source, name string) *api.TaskArtifact {
	return &api.TaskArtifact{
		GetterSource: &s.URL, GetterMode: new("file"), RelativeDest: new("local/" + name),
		GetterOptions: map[string]string{"archive": "false"}, GetterHeaders: maps.Clone(s.Headers),
	}
}
