package jobfile

import (
	"fmt"
	"maps"
	"math/bits"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Limits of a job. Governance may set narrower ones for tasks and durations; the chain checks those.
const (
	Version        = 1
	MaxTasks       = 100_000
	MaxCPU         = MilliCPU(1_024_000)
	MaxMemory      = MiB(dispatch.MaxMemoryMiB) // of a WebAssembly task
	MinImageMemory = MiB(dispatch.MinContainerMemoryMiB)
	MaxImageMemory = MiB(dispatch.MaxContainerMemoryMiB)
	MaxStorage     = MiB(1 << 20)
	MaxSeconds     = Seconds(30 * 86400)
	MaxArgs        = 1024
	MaxArgBytes    = 256 << 10
	MaxInputs      = 1024
	MaxConstraints = 64
	maxLabel       = 64
)

var (
	nameExpr   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	envExpr    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	nodeIDExpr = regexp.MustCompile(`^node1[02-9ac-hj-np-z]{38}$`)
)

// Validate checks what the values mean; a File that Load or Parse returned is valid.
func (f *File) Validate() error {
	l := &problemList{file: f.path, lines: f.lines}
	f.checkUnsupported(l)
	if f.Version != Version {
		l.add("version", "is %d; this release reads version %d", f.Version, Version)
	}
	if !nameExpr.MatchString(f.Name) {
		l.add("name", "is %q; use 1 to 63 lower-case letters, digits and dashes, not at either end", clip(f.Name))
	}
	f.checkProgram(l)
	f.checkProfile(l)
	checkText(l, f.Args, f.Env)
	checkSecrets(l, f.Secrets, f.Env)
	checkSecretsOnNomad(l, f.Secrets, f.SecretsOnNomad)
	f.checkInputs(l)
	if f.Encrypt && f.Type == TypeService {
		l.add("encrypt", "is for jobs whose tasks end with a result, and type is service; remove it")
	}
	f.checkAmounts(l)
	f.Constraints.check(l)
	f.Wishes.check(l)
	f.Schedule.check(l, f.Type == TypePeriodic)
	f.checkService(l)
	if f.Wishes.Gang && f.Tasks > dispatch.MaxTasks {
		l.add("wishes.gang", "starts all tasks together, which goes with at most %d, and tasks is %d; remove it or ask for fewer", dispatch.MaxTasks, f.Tasks)
	}
	return l.err()
}

func (f *File) checkUnsupported(l *problemList) {
	switch f.Type {
	case TypeBatch, TypePeriodic, TypeService:
	default:
		l.add("type", "is %q; use %s, %s or %s", clip(f.Type), TypeBatch, TypePeriodic, TypeService)
	}
	if f.Engine != EngineWASM && f.Engine != EngineDocker {
		l.add("engine", "is %q; use %s or %s", clip(f.Engine), EngineWASM, EngineDocker)
	}
	checkGPUs(l, "resources.gpus", f.Engine, f.Resources.GPUs)
	checkExec(l, f.Engine, f.Exec)
}

// MaxGPUs is the most GPUs of a task.
const MaxGPUs = 16

// checkGPUs holds the rule of files and specs.
func checkGPUs(l *problemList, field, engine string, n uint32) {
	inRange(l, field, n, 0, MaxGPUs)
	if n != 0 && engine != EngineDocker {
		l.add(field, "is %d, and only containers get GPUs; write engine: docker, or remove it", n)
	}
}

func checkExec(l *problemList, engine string, exec bool) {
	if exec && engine != EngineDocker {
		l.add("exec", "is true, and commands run in containers only; write engine: docker, or remove it")
	}
}

// checkProgram wants one of the two fields that name a program for the engine, and not the one that is the other engine's.
func (f *File) checkProgram(l *problemList) {
	field, program, other, foreign := "module", f.Module, "image", f.Image
	missing, misplaced := "is missing; name a .wasm file, or a Go package with build", "is a container image; add engine: docker, or use module"
	if f.Engine == EngineDocker {
		field, program, other, foreign = "image", f.Image, "module", f.Module
		missing, misplaced = "is missing; name a container image, or a Go package with build", "is WebAssembly; use image, or engine: wasm"
		if n := len(f.Constraints.Arch); n > 1 {
			l.add("constraints.arch", "has %d entries, and an image runs on one; name that", n)
		}
	}
	switch {
	case foreign != "":
		l.add(other, "%s", misplaced)
	case program == "" && f.Build == "":
		l.add(field, "%s", missing)
	case program != "" && f.Build != "":
		l.add("build", "and %s exclude each other; remove one", field)
	case program != "":
		checkPath(l, field, program)
	default:
		checkPath(l, "build", f.Build)
	}
}

func checkPath(l *problemList, field, p string) bool {
	switch {
	case p == "":
		l.add(field, "is empty; name a path")
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		l.add(field, "has characters that a path cannot have; rename the file")
	default:
		return true
	}
	return false
}

// checkText holds the rules for arguments and variables, of files and of specs.
func checkText(l *problemList, args []string, env map[string]string) {
	size := 0
	valid := func(field, s string) {
		size += len(s) + 2
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			l.add(field, "is not text: it has bytes that are not UTF-8, or a zero byte; encode it")
		}
	}
	for i, arg := range args {
		valid(fmt.Sprintf("args[%d]", i), arg)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		field := "env." + clip(name)
		size += len(name)
		valid(field, env[name])
		if !envExpr.MatchString(name) {
			l.add(field, "is not a name for a variable; use up to 128 letters, digits and _, not starting with a digit")
		} else if strings.HasPrefix(name, "FOG_") {
			l.add(field, "is reserved; use a name that does not start with FOG_")
		}
	}
	if n := len(args) + len(env); n > MaxArgs {
		l.add("args", "and env have %d items; use at most %d, or an input file", n, MaxArgs)
	}
	if size > MaxArgBytes {
		l.add("args", "and env have %d bytes; use at most %d, or an input file", size, MaxArgBytes)
	}
}

func (f *File) checkInputs(l *problemList) {
	if len(f.Inputs) > MaxInputs {
		l.add("inputs", "has %d entries; use at most %d, or a folder", len(f.Inputs), MaxInputs)
		return
	}
	seen := map[string]int{}
	for i, in := range f.Inputs {
		field := fmt.Sprintf("inputs[%d]", i)
		if !checkPath(l, field, in) {
			continue
		}
		name := inputName(in)
		if name == "." || name == ".." || name == "/" {
			l.add(field, "is %q, which has no name to appear under in /in; name a file or folder", clip(in))
			continue
		}
		if first, twice := seen[name]; twice {
			l.add(field, "and inputs[%d] would both be /in/%s; rename one", first, clip(name))
		}
		seen[name] = i
	}
}

// inputName is the name of an input below /in.
func inputName(p string) string { return path.Base(path.Clean(filepath.ToSlash(p))) }

func (f *File) checkAmounts(l *problemList) {
	inRange(l, "tasks", f.Tasks, 1, MaxTasks)
	inRange(l, "resources.cpu", f.Resources.CPU, 1, MaxCPU)
	checkMemory(l, "resources.memory", f.Engine, f.Resources.Memory)
	inRange(l, "resources.storage", f.Resources.Storage, 1, MaxStorage)
	limit := f.MaxDuration
	if f.Type == TypeService {
		limit = f.FundedTime
	} else if f.MaxDuration == 0 {
		l.add("max_duration", "is missing; say how long a task may run, such as 10m")
	} else {
		inRange(l, "max_duration", f.MaxDuration, 1, MaxSeconds)
	}
	inRange(l, "deadline", f.Deadline, 1, MaxSeconds)
	if f.MinSuccess != nil && (*f.MinSuccess < 1 || *f.MinSuccess > f.Tasks) {
		l.add("min_success", "is %d; use 1 to %d, the number of tasks", *f.MinSuccess, f.Tasks)
	}
	if f.Price.CapPerTaskHour == 0 {
		l.add("price.cap_per_task_hour", "is missing or 0; say what an hour of a task may cost, such as 0.5FOG")
		return
	}
	// The whole budget in ufog-seconds; the chain adds the fee and checks again.
	hi, perTask := bits.Mul64(uint64(f.Price.CapPerTaskHour), uint64(limit))
	over, _ := bits.Mul64(perTask, uint64(max(f.Tasks, f.Replicas)))
	if hi != 0 || over != 0 {
		l.add("price.cap_per_task_hour", "times the time paid for times tasks is more money than there is; lower one of them")
	}
}

// checkMemory holds the limits of each engine; an unknown engine is somebody else's problem.
func checkMemory(l *problemList, field, engine string, v MiB) {
	switch engine {
	case EngineWASM:
		inRange(l, field, v, 1, MaxMemory)
	case EngineDocker:
		inRange(l, field, v, MinImageMemory, MaxImageMemory)
	}
}

func inRange[T ~uint32 | ~uint64](l *problemList, field string, v, least, most T) {
	if v < least || v > most {
		l.add(field, "is %v; use %v to %v", v, least, most)
	}
}

func (c Constraints) check(l *problemList) {
	for _, list := range []struct {
		field  string
		values []string
	}{
		{"regions", c.Regions}, {"datacenters", c.Datacenters}, {"arch", c.Arch}, {"os", c.OS},
	} {
		checkList(l, "constraints."+list.field, list.values, isLabel,
			fmt.Sprintf("use 1 to %d printable characters without spaces", maxLabel))
	}
	const nodeRule = "use the id of a node (node1…), as fog node status shows it"
	checkList(l, "constraints.nodes", c.Nodes, nodeIDExpr.MatchString, nodeRule)
	checkList(l, "constraints.exclude_nodes", c.ExcludeNodes, nodeIDExpr.MatchString, nodeRule)
	for i, id := range c.ExcludeNodes {
		if slices.Contains(c.Nodes, id) {
			l.add(fmt.Sprintf("constraints.exclude_nodes[%d]", i), "is also in nodes; remove one")
		}
	}
	if len(c.Attributes) > MaxConstraints {
		l.add("constraints.attributes", "has %d entries; use at most %d", len(c.Attributes), MaxConstraints)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Attributes)) {
		if !isLabel(key) || !isLabel(c.Attributes[key]) {
			l.add("constraints.attributes."+clip(key), "is not valid; use 1 to %d printable characters without spaces for name and value", maxLabel)
		}
	}
	checkCondition(l, "constraints.where", c.Where)
}

func checkList(l *problemList, field string, values []string, ok func(string) bool, rule string) {
	if len(values) > MaxConstraints {
		l.add(field, "has %d entries; use at most %d", len(values), MaxConstraints)
		return
	}
	seen := map[string]bool{}
	for i, v := range values {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !ok(v):
			l.add(at, "is %q; %s", clip(v), rule)
		case seen[v]:
			l.add(at, "is %q again; remove one", clip(v))
		}
		seen[v] = true
	}
}

func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// AttributeList is the attributes in order of their keys, as the chain wants them.
func (c Constraints) AttributeList() []Attribute {
	list := make([]Attribute, 0, len(c.Attributes))
	for _, key := range slices.Sorted(maps.Keys(c.Attributes)) {
		list = append(list, Attribute{key, c.Attributes[key]})
	}
	return list
}
