package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Artifact types and the media types of their layers.
const (
	TypeModule = "application/vnd.fog.module.v1+wasm"
	TypeSpec   = "application/vnd.fog.spec.v1+json"
	TypeInputs = "application/vnd.fog.inputs.v1.tar"
	TypeResult = "application/vnd.fog.result.v1"

	mediaResultTar = "application/vnd.fog.result.v1.tar"
	mediaLog       = "application/vnd.fog.log.v1+text"
)

// Annotations of the layers of a result.
const (
	AnnotationTask = "io.foggrid.task"
	AnnotationKind = "io.foggrid.kind"
	KindResult     = "result"
	KindLog        = "log"
)

// Repositories of a deployment.
const (
	RepoModules = "modules"
	RepoSpecs   = "specs"
	RepoInputs  = "inputs"
	RepoImages  = "images"
	// RepoRunner is where a gateway has the runner of Nomad's containers, which belongs to nobody.
	RepoRunner = "grid/runner"
)

// ResultRepo is where the results of a job (job1…) lie.
func ResultRepo(jobID string) string { return "results/" + jobID }

// ResultTag names the result of one attempt at a slice.
func ResultTag(slice, attempt uint32) string { return fmt.Sprintf("s%d-a%d", slice, attempt) }

// Blob is content to push. Open is called once for every try and must give the same bytes.
type Blob struct {
	MediaType   string
	Digest      artifact.Digest
	Size        int64
	Annotations map[string]string
	Open        func() (io.ReadCloser, error)
}

// BytesBlob is content in memory.
func BytesBlob(mediaType string, data []byte) Blob {
	return Blob{
		MediaType: mediaType, Digest: artifact.DigestOf(data), Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// FileBlob hashes a file; if the file changes before it is pushed, the push fails with ErrDigestMismatch.
func FileBlob(mediaType, path string) (Blob, error) {
	f, err := os.Open(path) //nolint:gosec // the file that the user pushes
	if err != nil {
		return Blob{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return Blob{}, err
	}
	return Blob{
		MediaType: mediaType, Digest: artifact.Digest(h.Sum(nil)), Size: n,
		Open: func() (io.ReadCloser, error) { return os.Open(path) }, //nolint:gosec // the file that the user pushes
	}, nil
}

// Artifact is what PushArtifact makes a manifest of.
type Artifact struct {
	Type        string
	Layers      []Blob
	Annotations map[string]string
}

// Module is the artifact of a WebAssembly module.
func Module(b Blob) Artifact { return single(TypeModule, b) }

// Spec is the artifact of a job's canonical spec.
func Spec(canonical []byte) Artifact { return single(TypeSpec, BytesBlob(TypeSpec, canonical)) }

// Inputs is the artifact of a tar of input files.
func Inputs(b Blob) Artifact { return single(TypeInputs, b) }

func single(kind string, b Blob) Artifact {
	b.MediaType = kind
	return Artifact{Type: kind, Layers: []Blob{b}}
}

// TaskOutput is what one task left: the tar of its output folder, and its log (a nil Open means none).
type TaskOutput struct {
	Task   uint32
	Result Blob
	Log    Blob
}

// Result is the artifact of a slice: a layer for each task in the given order, then the logs.
func Result(outputs []TaskOutput) Artifact {
	a := Artifact{Type: TypeResult}
	for _, o := range outputs {
		a.Layers = append(a.Layers, taskLayer(o.Result, mediaResultTar, o.Task, KindResult))
	}
	for _, o := range outputs {
		if o.Log.Open != nil {
			a.Layers = append(a.Layers, taskLayer(o.Log, mediaLog, o.Task, KindLog))
		}
	}
	return a
}

func taskLayer(b Blob, mediaType string, task uint32, kind string) Blob {
	b.MediaType = mediaType
	b.Annotations = map[string]string{AnnotationTask: strconv.FormatUint(uint64(task), 10), AnnotationKind: kind}
	return b
}

// Descriptor names content in a registry.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      artifact.Digest   `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Manifest is what a registry says about an artifact. Layers have valid digests and sizes of zero or more.
type Manifest struct {
	// Digest of the manifest itself; Raw are the bytes it is the digest of.
	Digest       artifact.Digest   `json:"-"`
	Raw          []byte            `json:"-"`
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Layers       []Descriptor      `json:"layers"`
	Annotations  map[string]string `json:"annotations"`
}

// Content returns the one layer of an artifact of the given type.
func (m Manifest) Content(artifactType string) (Descriptor, error) {
	if m.ArtifactType != artifactType || len(m.Layers) != 1 {
		return Descriptor{}, fmt.Errorf("%w: manifest %s has type %q and %d layers, want %q and one",
			ErrNotArtifact, m.Digest, m.ArtifactType, len(m.Layers), artifactType)
	}
	return m.Layers[0], nil
}

// TaskLayers are the layers of one task in a result; Log is nil if none was kept.
type TaskLayers struct {
	Task   uint32
	Result Descriptor
	Log    *Descriptor
}

// Tasks sorts the layers of a result into tasks. It insists on exactly one result for each of the count tasks from first on, in order,
// and on no other layers but their logs: what the oracles attest and the developer downloads must be read the same way by all.
func (m Manifest) Tasks(first, count uint32) ([]TaskLayers, error) {
	bad := func(format string, args ...any) ([]TaskLayers, error) {
		return nil, fmt.Errorf("%w: result manifest %s: %s", ErrNotArtifact, m.Digest, fmt.Sprintf(format, args...))
	}
	if m.ArtifactType != TypeResult {
		return bad("type is %q, want %q", m.ArtifactType, TypeResult)
	}
	if uint64(len(m.Layers)) < uint64(count) {
		return bad("%d layers for %d tasks", len(m.Layers), count)
	}
	tasks := make([]TaskLayers, count)
	for i, l := range m.Layers {
		number, err := strconv.ParseUint(l.Annotations[AnnotationTask], 10, 32)
		if err != nil || strconv.FormatUint(number, 10) != l.Annotations[AnnotationTask] {
			return bad("layer %d: annotation %s is %q, want a task number", i, AnnotationTask, l.Annotations[AnnotationTask])
		}
		at := number - uint64(first)
		kind := l.Annotations[AnnotationKind]
		switch {
		case number < uint64(first) || at >= uint64(count):
			return bad("layer %d is of task %d, outside the slice", i, number)
		case i < int(count) && (kind != KindResult || at != uint64(i)):
			return bad("layer %d is the %q of task %d, want the result of task %d", i, kind, number, uint64(first)+uint64(i))
		case i < int(count):
			tasks[at].Task, tasks[at].Result = uint32(number), l
		case kind != KindLog || tasks[at].Log != nil:
			return bad("layer %d is the %q of task %d, want one log a task", i, kind, number)
		default:
			tasks[at].Log = &l
		}
	}
	return tasks, nil
}
