package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Spec is all that a task's outcome depends on, beside its number. Limits hold for each task by itself.
type Spec struct {
	Version uint32 `json:"version"`
	Name    string `json:"name"`
	Engine  string `json:"engine"`
	// Module is the digest of the module's bytes, or of the manifest of the container image.
	Module artifact.Digest `json:"module"`
	// Inputs is the digest of the archive of the inputs; zero if there are none.
	Inputs artifact.Digest   `json:"inputs"`
	Args   []string          `json:"args"`
	Env    map[string]string `json:"env"`
	// Secrets are in order of their names.
	Secrets []SecretRef `json:"secrets,omitempty"`
	Tasks   uint32      `json:"tasks"`
	CPU     MilliCPU    `json:"cpu_milli"`
	Memory  MiB         `json:"memory_mib"`
	Storage MiB         `json:"storage_mib"`
	GPUs    uint32      `json:"gpus"`
	// Exec lets the owner run commands in the containers, on nodes that allow it.
	Exec bool `json:"exec,omitempty"`
	// MaxDuration is zero for services.
	MaxDuration Seconds `json:"max_duration"`
	// Encrypt is there if inputs and results are encrypted.
	Encrypt *EncryptSpec `json:"encrypt,omitempty"`
	// SecretsOnNomad lets the gateway lend the secrets to tasks on Nomad.
	SecretsOnNomad bool `json:"secrets_on_nomad,omitempty"`
	// Service is there for services only, whose specs are of one task: how many replicas there are is not part of it.
	Service *ServiceSpec `json:"service,omitempty"`
}

// MaxSpecBytes is the largest spec that is read.
const MaxSpecBytes = 2 << 20

var (
	// ErrSpec says that bytes are not a spec, or one that breaks a rule.
	ErrSpec = errors.New("invalid spec")
	// ErrNotCanonical says that a spec is not written in its canonical form, so that its digest would not be the spec's.
	ErrNotCanonical = errors.New("spec is not in canonical form")
)

// Spec makes the spec of a valid file. The digests are of the module's bytes and of the archive of the inputs (zero: no inputs).
func (f *File) Spec(module, inputs artifact.Digest) (Spec, error) {
	if f.Encrypt {
		return Spec{}, fmt.Errorf("%w: the job file says encrypt; its inputs and results need keys", ErrSpec)
	}
	return f.spec(module, inputs, nil)
}

func (f *File) spec(module, inputs artifact.Digest, e *EncryptSpec) (Spec, error) {
	s := Spec{
		Version: f.Version, Name: f.Name, Engine: f.Engine, Module: module, Inputs: inputs, Args: f.Args, Env: f.Env, Tasks: f.Tasks,
		CPU: f.Resources.CPU, Memory: f.Resources.Memory, Storage: f.Resources.Storage, GPUs: f.Resources.GPUs,
		MaxDuration: f.MaxDuration, Exec: f.Exec, Secrets: sortedSecrets(f.Secrets), SecretsOnNomad: f.SecretsOnNomad, Encrypt: e,
	}
	if f.Type == TypeService {
		s.Service = f.service()
	}
	if inputs.IsZero() != (len(f.Inputs) == 0) {
		return Spec{}, fmt.Errorf("%w: the job file has %d inputs; give the digest of their archive if there are any", ErrSpec, len(f.Inputs))
	}
	return s, s.Validate()
}

// Validate checks every field.
func (s Spec) Validate() error {
	l := &problemList{}
	if s.Version != Version {
		l.add("version", "is %d; this release runs version %d", s.Version, Version)
	}
	if !nameExpr.MatchString(s.Name) {
		l.add("name", "is %q; use 1 to 63 lower-case letters, digits and dashes, not at either end", clip(s.Name))
	}
	if s.Engine != EngineWASM && s.Engine != EngineDocker {
		l.addErr("engine", fmt.Errorf("is %q: %w", clip(s.Engine), ErrUnsupported))
	}
	if s.Module.IsZero() {
		l.add("module", "is missing; give the digest of the module or image")
	}
	checkText(l, s.Args, s.Env)
	checkSecrets(l, s.Secrets, s.Env)
	if !slices.IsSortedFunc(s.Secrets, bySecretName) {
		l.add("secrets", "are not in order of their names")
	}
	checkSecretsOnNomad(l, s.Secrets, s.SecretsOnNomad)
	inRange(l, "tasks", s.Tasks, 1, MaxTasks)
	inRange(l, "cpu_milli", s.CPU, 1, MaxCPU)
	checkMemory(l, "memory_mib", s.Engine, s.Memory)
	inRange(l, "storage_mib", s.Storage, 1, MaxStorage)
	checkExec(l, s.Engine, s.Exec)
	checkGPUs(l, "gpus", s.Engine, s.GPUs)
	if s.Service == nil {
		inRange(l, "max_duration", s.MaxDuration, 1, MaxSeconds)
	} else {
		if s.Engine != EngineDocker || s.Tasks != 1 || s.MaxDuration != 0 {
			l.add("service", "is of one container without max_duration")
		}
		s.Service.check(l, "service.", s.Storage)
	}
	s.Encrypt.check(l, s)
	if err := l.err(); err != nil {
		return fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return nil
}

// Canonical is the spec as JSON by RFC 8785 with all fields present: the one form whose SHA-256 is the spec digest. The spec must be
// valid.
func (s Spec) Canonical() []byte {
	args := make([]json.RawMessage, len(s.Args))
	for i, a := range s.Args {
		args[i] = canonicalString(a)
	}
	env := make(map[string]json.RawMessage, len(s.Env))
	for k, v := range s.Env {
		env[k] = canonicalString(v)
	}
	members := map[string]json.RawMessage{
		"version":      canonicalUint(uint64(s.Version)),
		"name":         canonicalString(s.Name),
		"engine":       canonicalString(s.Engine),
		"module":       canonicalDigest(s.Module),
		"inputs":       canonicalDigest(s.Inputs),
		"args":         canonicalArray(args),
		"env":          canonicalObject(env),
		"tasks":        canonicalUint(uint64(s.Tasks)),
		"cpu_milli":    canonicalUint(uint64(s.CPU)),
		"memory_mib":   canonicalUint(uint64(s.Memory)),
		"storage_mib":  canonicalUint(uint64(s.Storage)),
		"gpus":         canonicalUint(uint64(s.GPUs)),
		"max_duration": canonicalUint(uint64(s.MaxDuration)),
	}
	if s.Exec { // specs of before have no such member
		members["exec"] = canonicalBool(true)
	}
	if len(s.Secrets) > 0 {
		members["secrets"] = canonicalSecrets(s.Secrets)
	}
	if s.Encrypt != nil {
		members["encrypt"] = s.Encrypt.canonical()
	}
	if s.SecretsOnNomad {
		members["secrets_on_nomad"] = canonicalBool(true)
	}
	if s.Service != nil {
		members["service"] = s.Service.canonical()
	}
	return canonicalObject(members)
}

// Digest is the SHA-256 of the canonical form: the spec digest on chain.
func (s Spec) Digest() artifact.Digest { return artifact.DigestOf(s.Canonical()) }

// ParseSpec reads the canonical form of a valid spec and nothing else: parsing and Canonical are inverse to each other.
func ParseSpec(data []byte) (Spec, error) {
	if len(data) > MaxSpecBytes {
		return Spec{}, fmt.Errorf("%w: it has %d bytes; use at most %d", ErrSpec, len(data), MaxSpecBytes)
	}
	var s Spec
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Spec{}, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Spec{}, fmt.Errorf("%w: something follows it", ErrNotCanonical)
	}
	if err := s.Validate(); err != nil {
		return Spec{}, err
	}
	if !bytes.Equal(s.Canonical(), data) {
		return Spec{}, ErrNotCanonical
	}
	return s, nil
}
