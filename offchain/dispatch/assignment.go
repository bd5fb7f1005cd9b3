package dispatch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/seal"
)

const (
	// EngineWASM names the engine that runs WASI preview 1 modules.
	EngineWASM = "wasm"
	// EngineDocker names the engine that runs container images.
	EngineDocker = "docker"
	// MaxTasks is the largest number of tasks in a slice.
	MaxTasks = 256
	// MaxMemoryMiB is the address space of 32-bit WebAssembly.
	MaxMemoryMiB = 4096
	// MinContainerMemoryMiB is what a container needs to start; MaxContainerMemoryMiB is more than any machine has.
	MinContainerMemoryMiB = 16
	MaxContainerMemoryMiB = 1 << 24

	maxArgs, maxArgBytes = 1024, 256 << 10
	maxJobIDLen          = 128
	reservedEnvPrefix    = "FOG_"
)

// AttemptID names one try at one slice of a job.
type AttemptID struct {
	Job     string `json:"job"`
	Slice   uint32 `json:"slice"`
	Attempt uint32 `json:"attempt"`
}

// String returns the id as job/slice/attempt.
func (id AttemptID) String() string { return fmt.Sprintf("%s/s%d/a%d", id.Job, id.Slice, id.Attempt) }

// Compare orders ids by job, slice and attempt.
func (id AttemptID) Compare(other AttemptID) int {
	return cmp.Or(cmp.Compare(id.Job, other.Job), cmp.Compare(id.Slice, other.Slice), cmp.Compare(id.Attempt, other.Attempt))
}

// Validate accepts ids that can be part of a file name: letters, digits, dots, dashes and underscores, not starting with a dot.
func (id AttemptID) Validate() error {
	if id.Job == "" || len(id.Job) > maxJobIDLen || id.Job[0] == '.' {
		return fmt.Errorf("%w: job id %.140q; use 1 to %d letters, digits, '.', '-' and '_'", ErrInvalidAssignment, id.Job, maxJobIDLen)
	}
	for _, c := range id.Job {
		if !strings.ContainsRune(jobIDChars, c) {
			return fmt.Errorf("%w: job id %q has the character %q", ErrInvalidAssignment, id.Job, c)
		}
	}
	return nil
}

const jobIDChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

// Assignment is all that a dispatcher needs to run an attempt. Limits hold for each task by itself.
type Assignment struct {
	ID AttemptID `json:"id"`
	// FirstTask is the number of the slice's first task in the job, Tasks the number of tasks in the slice, JobTasks in the whole job.
	FirstTask uint32 `json:"first_task"`
	Tasks     uint32 `json:"tasks"`
	JobTasks  uint32 `json:"job_tasks"`
	// Engine is EngineWASM or EngineDocker.
	Engine string `json:"engine"`
	// Module is the digest of the module, or of the manifest of the image; ModulePath the local file of the module, or the folder with the
	// image as an OCI layout. Content is checked against the digest before it runs.
	Module     artifact.Digest `json:"module"`
	ModulePath string          `json:"-"`
	// Inputs is the digest of the inputs' archive (zero: no inputs), InputsDir a local folder where it is unpacked.
	Inputs    artifact.Digest `json:"inputs"`
	InputsDir string          `json:"-"`
	// Args are the arguments after argv[0]; Env the variables. Names that start with FOG_ are reserved.
	Args []string          `json:"args,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	// Secrets are in order of their names, which are no variables' too. Their values are in no file and no fingerprint.
	Secrets []Secret `json:"secrets,omitempty"`
	// SealTo, if set, is the public key (age1…) for which results are encrypted; see offchain/seal.
	SealTo string `json:"seal_to,omitempty"`
	// CPUMilli is what a task takes of the node's processors, in 1/1000; it bounds how many tasks run at a time.
	CPUMilli uint32 `json:"cpu_milli"`
	// MemoryMiB bounds a task's linear memory; of a container all memory, what /out and /tmp hold included.
	MemoryMiB uint32 `json:"memory_mib"`
	// StorageMiB bounds what /out holds at any time; every file and folder counts 4 KiB beside its size.
	StorageMiB uint32 `json:"storage_mib"`
	// GPUs are how many a task has for itself.
	GPUs uint32 `json:"gpus,omitempty"`
	// Exec lets commands be run beside the program of a container.
	Exec bool `json:"exec,omitempty"`
	// MaxDuration bounds a task's run time, from its start; a service has none.
	MaxDuration time.Duration `json:"max_duration"`
	// Service, if there is one, makes the assignment's only task a service.
	Service *Service `json:"service,omitempty"`
}

// Validate checks every field that does not depend on the node.
func (a Assignment) Validate() error {
	if err := a.ID.Validate(); err != nil {
		return err
	}
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: attempt %s: %s", ErrInvalidAssignment, a.ID, fmt.Sprintf(format, args...))
	}
	switch {
	case a.Tasks == 0 || a.Tasks > MaxTasks:
		return invalid("%d tasks; a slice has 1 to %d", a.Tasks, MaxTasks)
	case uint64(a.FirstTask)+uint64(a.Tasks) > uint64(a.JobTasks):
		return invalid("tasks %d to %d of a job with %d tasks", a.FirstTask, uint64(a.FirstTask)+uint64(a.Tasks)-1, a.JobTasks)
	case a.Engine != EngineWASM && a.Engine != EngineDocker:
		return invalid("engine %q is not supported; use %q or %q", a.Engine, EngineWASM, EngineDocker)
	case a.Module.IsZero() || a.ModulePath == "":
		return invalid("no module or image")
	case a.Inputs.IsZero() != (a.InputsDir == ""):
		return invalid("inputs need both a digest and a folder")
	case a.CPUMilli == 0:
		return invalid("cpu_milli is 0")
	case a.Engine == EngineWASM && (a.MemoryMiB == 0 || a.MemoryMiB > MaxMemoryMiB):
		return invalid("memory_mib is %d; a WebAssembly task can have 1 to %d", a.MemoryMiB, MaxMemoryMiB)
	case a.Engine == EngineDocker && (a.MemoryMiB < MinContainerMemoryMiB || a.MemoryMiB > MaxContainerMemoryMiB):
		return invalid("memory_mib is %d; a container can have %d to %d", a.MemoryMiB, MinContainerMemoryMiB, MaxContainerMemoryMiB)
	case a.GPUs > 0 && a.Engine != EngineDocker:
		return invalid("%d GPUs; only tasks of engine %q get any", a.GPUs, EngineDocker)
	case a.StorageMiB == 0:
		return invalid("storage_mib is 0")
	case a.MaxDuration <= 0 && a.Service == nil:
		return invalid("max_duration is %s", a.MaxDuration)
	case a.Service != nil && (a.MaxDuration != 0 || a.Tasks != 1 || a.Engine != EngineDocker):
		return invalid("a service is one task of engine %q without max_duration", EngineDocker)
	}
	if a.Service != nil {
		if err := a.Service.validate(a.StorageMiB); err != nil {
			return invalid("%v", err)
		}
	}
	if err := a.validateSecrets(invalid); err != nil {
		return err
	}
	if a.SealTo != "" {
		if _, err := seal.ParseRecipient(a.SealTo); err != nil || a.Service != nil {
			return invalid("results cannot be encrypted for %.80q", a.SealTo)
		}
	}
	return a.validateStrings(invalid)
}

func (a Assignment) validateSecrets(invalid func(string, ...any) error) error {
	if len(a.Secrets) > MaxSecrets {
		return invalid("%d secrets; a task can have %d", len(a.Secrets), MaxSecrets)
	}
	for i, s := range a.Secrets {
		_, taken := a.Env[s.Name]
		switch {
		case s.Name == "" || strings.ContainsAny(s.Name, "=/\x00") || strings.HasPrefix(s.Name, ".") || strings.HasPrefix(s.Name, reservedEnvPrefix):
			return invalid("secret %q has no valid name", s.Name)
		case taken, i > 0 && a.Secrets[i-1].Name >= s.Name:
			return invalid("secret %q is out of order, or its name is taken", s.Name)
		case len(s.Value) > MaxSecretBytes:
			return invalid("secret %q has %d bytes; use at most %d", s.Name, len(s.Value), MaxSecretBytes)
		case a.Engine == EngineWASM && bytes.IndexByte(s.Value, 0) >= 0:
			return invalid("secret %q has a zero byte, which a variable cannot have; encode it", s.Name)
		}
	}
	if a.Service != nil && len(a.Secrets) > 0 {
		for _, v := range a.Service.Volumes {
			if Overlap(v.Path, SecretsDir) {
				return invalid("the volume %s lies over %s", v.Name, SecretsDir)
			}
		}
	}
	return nil
}

func (a Assignment) validateStrings(invalid func(string, ...any) error) error {
	count, size := len(a.Args)+len(a.Env), 0
	for _, arg := range a.Args {
		size += len(arg) + 1
		if strings.ContainsRune(arg, 0) {
			return invalid("argument %q has a zero byte", arg)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		size += len(name) + len(a.Env[name]) + 2
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return invalid("environment variable %q has no valid name", name)
		case strings.HasPrefix(name, reservedEnvPrefix):
			return invalid("environment variable %q: names with %s are reserved", name, reservedEnvPrefix)
		case strings.ContainsRune(a.Env[name], 0):
			return invalid("environment variable %q has a zero byte", name)
		}
	}
	if count > maxArgs || size > maxArgBytes {
		return invalid("%d arguments and variables with %d bytes; at most %d with %d", count, size, maxArgs, maxArgBytes)
	}
	return nil
}

// Fingerprint is the digest of all that determines the outcome; local paths are not part of it.
func (a Assignment) Fingerprint() (artifact.Digest, error) {
	raw, err := json.Marshal(a) // map keys come sorted
	if err != nil {
		return artifact.Digest{}, fmt.Errorf("fingerprint of attempt %s: %w", a.ID, err)
	}
	return artifact.DigestOf(raw), nil
}
