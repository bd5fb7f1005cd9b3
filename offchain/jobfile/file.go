package jobfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Values of the fields type and engine.
const (
	TypeBatch    = "batch"
	TypeService  = "service"
	TypePeriodic = "periodic"

	EngineWASM   = dispatch.EngineWASM
	EngineDocker = dispatch.EngineDocker
)

// File is a job file with its units read and its defaults filled in.
type File struct {
	Version     uint32            `yaml:"version" jsonschema:"required,enum=1" jsonschema_description:"Version of this format."`
	Name        string            `yaml:"name" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?$" jsonschema_description:"Name of the job, for people."`
	Type        string            `yaml:"type" jsonschema:"enum=batch,enum=periodic,enum=service,default=batch" jsonschema_description:"How the job lives: batch runs its tasks and ends, periodic does so at each time of its schedule, service has no end."`
	Engine      string            `yaml:"engine" jsonschema:"enum=wasm,enum=docker,default=wasm" jsonschema_description:"What runs the tasks: wasm is WebAssembly with WASI preview 1, docker a container image, on nodes that run those."`
	Profile     string            `yaml:"profile" jsonschema:"enum=batch,enum=service,enum=iot,enum=game,enum=streaming,enum=storage" jsonschema_description:"What kind of work the job is, which says how good the network of its nodes must be: by default A for game and streaming, B for service, iot and storage, any for batch. Without it a service is a service and other jobs are batch."`
	Module      string            `yaml:"module" jsonschema:"oneof_required=module,minLength=1" jsonschema_description:"Path of the .wasm file, relative to the job file."`
	Image       string            `yaml:"image" jsonschema:"oneof_required=image,minLength=1" jsonschema_description:"With engine docker: an OCI layout, a tar from docker save, each relative to the job file, or the name of an image in the local Docker Engine."`
	Build       string            `yaml:"build" jsonschema:"oneof_required=build,minLength=1" jsonschema_description:"Go package to build in place of module or image, relative to the job file: for wasip1/wasm, or with engine docker as the only program of an image for linux."`
	Args        []string          `yaml:"args" jsonschema:"maxItems=1024" jsonschema_description:"Arguments of every task, after the program's name."`
	Env         map[string]string `yaml:"env" jsonschema_description:"Environment variables of every task. Names that start with FOG_ are reserved."`
	Secrets     []SecretRef       `yaml:"secrets" jsonschema:"maxItems=16" jsonschema_description:"Secrets of yours at the gateway that every task gets, by name; what they hold is in no file and not on the chain."`
	Inputs      []string          `yaml:"inputs" jsonschema:"uniqueItems=true,maxItems=1024" jsonschema_description:"Files and folders that every task finds read-only below /in, each under its last name."`
	Encrypt     bool              `yaml:"encrypt" jsonschema:"default=false" jsonschema_description:"Whether inputs and results are encrypted, so that only you and the node that runs a task can read them. Needs your key (fog keys encryption), and for inputs a gateway. The program, args, env and logs are not encrypted. Not for services."`
	Tasks       uint32            `yaml:"tasks" jsonschema:"minimum=1,maximum=100000,default=1" jsonschema_description:"How many tasks the job has. FOG_TASK_INDEX tells a task its number, from 0."`
	Resources   Resources         `yaml:"resources" jsonschema_description:"What one task may use."`
	Price       Price             `yaml:"price" jsonschema:"required" jsonschema_description:"What the job may cost."`
	MaxDuration Seconds           `yaml:"max_duration" jsonschema_description:"Longest run time of a task, such as 45s, 10m or 1h30m; it is stopped then. The budget is paid for this long. Services have none."`
	Deadline    Seconds           `yaml:"deadline" jsonschema:"default=1h" jsonschema_description:"How long after submission a task may wait for a node, such as 1h; then its money comes back."`
	MinSuccess  *uint32           `yaml:"min_success" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"How many tasks must succeed for the job to be completed; all by default."`
	Constraints Constraints       `yaml:"constraints" jsonschema_description:"What a node must be like; nothing is demanded by default."`
	Wishes      Wishes            `yaml:"wishes" jsonschema_description:"What makes one node better than another, and how the tasks lie; by default the cheapest that is fast and reliable is best."`
	Schedule    Schedule          `yaml:"schedule" jsonschema_description:"When a periodic job runs."`

	SecretsOnNomad bool `yaml:"secrets_on_nomad" jsonschema:"default=false" jsonschema_description:"Whether tasks with secrets may run on nodes that Nomad serves, where whoever may submit jobs to its namespace, as oracles may, can get at them too."`

	// Of services.
	Replicas    uint32   `yaml:"replicas" jsonschema:"minimum=1,maximum=64,default=1" jsonschema_description:"How many of a service run at a time, each on its own."`
	FundedTime  Seconds  `yaml:"funded_time" jsonschema_description:"For how long the submission of a service pays, such as 24h; fog job top-up pays for more."`
	Ports       []Port   `yaml:"ports" jsonschema:"maxItems=16" jsonschema_description:"Where a service is reached, and nowhere else."`
	Health      *Health  `yaml:"health" jsonschema_description:"How to tell whether a service works; by default it does as long as it runs."`
	Volumes     []Volume `yaml:"volumes" jsonschema:"maxItems=8" jsonschema_description:"Folders of a service that outlive its restarts on a node; they are wiped when it leaves the node."`
	KeepVolumes *bool    `yaml:"keep_volumes" jsonschema:"default=true" jsonschema_description:"Whether volumes outlive updates, which needs nodes with disk for them (attribute volumes=disk) and leaves the service on its nodes. With false they are memory beside resources.memory, on any node, and each revision begins with empty ones."`
	Exec        bool     `yaml:"exec" jsonschema:"default=false" jsonschema_description:"Whether the owner may run commands in the containers (fog job exec), on nodes that allow it."`
	Outbound    bool     `yaml:"outbound" jsonschema:"default=false" jsonschema_description:"Whether a service may open connections of its own."`

	path  string
	lines map[string]int
}

// Resources is what one task may use.
type Resources struct {
	CPU     MilliCPU `yaml:"cpu" jsonschema:"default=1" jsonschema_description:"vCPUs, such as 2 or 0.5, or thousandths, such as 500m."`
	Memory  MiB      `yaml:"memory" jsonschema:"default=256MiB" jsonschema_description:"Memory, such as 256MiB or 1.5GiB. A WebAssembly task can have 4GiB at most; of a container it holds what is in /out and /tmp, too."`
	Storage MiB      `yaml:"storage" jsonschema:"default=64MiB" jsonschema_description:"Room for what the task writes to /out, such as 64MiB."`
	GPUs    uint32   `yaml:"gpus" jsonschema:"maximum=16,default=0" jsonschema_description:"NVIDIA GPUs of a task, which no other task has meanwhile; for engine docker. A model is asked for with constraints.where, such as gpu_model == \"NVIDIA L4\"."`
}

// Price is what the job may cost.
type Price struct {
	CapPerTaskHour Ufog `yaml:"cap_per_task_hour" jsonschema:"required" jsonschema_description:"The most that one hour of one task may cost, such as 0.5FOG or 500000ufog; a number without a unit is ufog."`
}

// Constraints are hard: a node that breaks one is never matched. Empty lists allow all.
type Constraints struct {
	Regions      []string          `yaml:"regions" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"Regions, any of which will do."`
	Datacenters  []string          `yaml:"datacenters" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"Datacenters, any of which will do."`
	Arch         []string          `yaml:"arch" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"Processor architectures as Go names them, such as amd64."`
	OS           []string          `yaml:"os" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"Operating systems as Go names them, such as linux."`
	Attributes   map[string]string `yaml:"attributes" jsonschema_description:"Attributes that the node must have with these values."`
	MinCPUSingle uint64            `yaml:"min_cpu_single" jsonschema:"minimum=0" jsonschema_description:"Least measured single-core speed, in squarings per second (see: fog node status)."`
	MinGrade     string            `yaml:"min_grade" jsonschema:"enum=A,enum=B,enum=C" jsonschema_description:"Least network grade, in the place of the profile's: A is best (see: fog node status)."`
	Nodes        []string          `yaml:"nodes" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"The only nodes allowed (node1…)."`
	ExcludeNodes []string          `yaml:"exclude_nodes" jsonschema:"uniqueItems=true,maxItems=64" jsonschema_description:"Nodes that are not allowed (node1…)."`
	Where        string            `yaml:"where" jsonschema:"maxLength=1024" jsonschema_description:"A condition on the node's properties, such as: region == \"eu\" && cpu_single >= 2000 && attr.tpm == true"`
}

// Attribute is one key and value of the constraints.
type Attribute struct{ Key, Value string }

// MaxFileBytes is the largest job file that is read.
const MaxFileBytes = 1 << 20

// DefaultPath is where a job file is looked for.
const DefaultPath = "fog.yaml"

// Load reads and validates a job file; its problems come as Problems.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the job file: %w; write one with fog job init", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the job file: %w", err)
	}
	return parse(path, data)
}

// Parse reads and validates a job file in memory; relative paths in it are relative to the working directory.
func Parse(data []byte) (*File, error) { return parse("", data) }

func parse(path string, data []byte) (*File, error) {
	problems := &problemList{file: path, lines: map[string]int{}}
	f := defaults()
	f.path, f.lines = path, problems.lines
	decodeFile(data, f, problems)
	if err := problems.err(); err != nil {
		return nil, err
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return f, nil
}

// defaults is a file that says nothing.
func defaults() *File {
	return &File{
		Type: TypeBatch, Engine: EngineWASM, Tasks: 1,
		Resources: Resources{CPU: 1000, Memory: 256, Storage: 64},
		Deadline:  3600,
	}
}

// Required returns how many tasks must succeed.
func (f *File) Required() uint32 {
	if f.MinSuccess == nil {
		return f.Tasks
	}
	return *f.MinSuccess
}

// Dir is the folder that the paths in the file are relative to.
func (f *File) Dir() string { return filepath.Dir(f.path) }

// resolve turns a path of the file into one that can be opened.
func (f *File) resolve(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.Dir(), path)
}
