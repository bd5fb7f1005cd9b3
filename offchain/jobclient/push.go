package jobclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Stage is a part of packing and pushing a job that takes time.
type Stage string

// The stages, in order.
const (
	StageBuild  Stage = "build"
	StageModule Stage = "module"
	StageImage  Stage = "image"
	StageInputs Stage = "inputs"
	StageSpec   Stage = "spec"
)

// Observer is told when a stage begins; what it returns, if anything, is told how far it is.
type Observer func(Stage) client.Progress

// begin calls an observer that may be missing.
func (o Observer) begin(s Stage) client.Progress {
	if o == nil {
		return nil
	}
	return o(s)
}

// Packed is a job with everything that its spec names, ready to be pushed.
type Packed struct {
	Spec jobfile.Spec `json:"-"`
	// SpecDigest and Module (of the module, or of the image's manifest) are what the chain holds; Inputs is zero if there are none.
	SpecDigest artifact.Digest `json:"spec_digest"`
	Module     artifact.Digest `json:"module_digest"`
	Inputs     artifact.Digest `json:"inputs_digest"`
	// Owner (fog1…) says where the content lies in a registry that keeps owners apart (client.WithOwnedRepos); others need none.
	Owner string `json:"-"`
	// Arch is the architecture that the image is for; empty for a module, which runs on any.
	Arch string `json:"arch,omitempty"`
	// ModuleBytes and InputsBytes are sizes.
	ModuleBytes int64 `json:"module_bytes"`
	InputsBytes int64 `json:"inputs_bytes"`
	// Encrypted says that Inputs and InputsBytes are of an encrypted archive, which Key opens, and that results will be encrypted.
	Encrypted bool      `json:"encrypted,omitempty"`
	Key       InputsKey `json:"-"`

	modulePath, inputsPath string
	pushOf                 artifact.Digest
	image                  image.Image
}

// Defaults are what the job's image says of itself; nothing of a module.
func (p Packed) Defaults() image.Defaults { return p.image.Config.Config }

// Program says what the job runs: StageModule or StageImage.
func (p Packed) Program() Stage {
	if p.Spec.Engine == jobfile.EngineDocker {
		return StageImage
	}
	return StageModule
}

// magic begins every WebAssembly module.
var magic = []byte("\x00asm")

// Pack builds or loads the module or image, packs the inputs and makes the spec. temp is a folder for what is made; it must live until the push.
func Pack(ctx context.Context, f *jobfile.File, temp string, observe Observer) (Packed, error) {
	return PackSealed(ctx, f, temp, observe, Sealing{})
}

// PackSealed is Pack that can encrypt, if the file asks for it.
func PackSealed(ctx context.Context, f *jobfile.File, temp string, observe Observer, s Sealing) (Packed, error) {
	var p Packed
	observe.begin(StageBuild)
	err := p.packProgram(ctx, f, temp)
	if err != nil {
		return Packed{}, err
	}
	p.inputsPath = filepath.Join(temp, "inputs.tar")
	if p.Inputs, p.InputsBytes, err = f.PackInputs(p.inputsPath); err != nil {
		return Packed{}, err
	}
	if f.Encrypt {
		err = p.seal(f, temp, s)
	} else {
		p.Spec, err = f.Spec(p.Module, p.Inputs)
	}
	if err != nil {
		return Packed{}, err
	}
	p.SpecDigest = p.Spec.Digest()
	return p, ctx.Err()
}

func (p *Packed) packProgram(ctx context.Context, f *jobfile.File, temp string) (err error) {
	if f.Engine == jobfile.EngineDocker {
		if p.image, err = packImage(ctx, f, temp); err == nil {
			p.Module, p.ModuleBytes, p.Arch = p.image.Digest, p.image.Size(), p.image.Config.Architecture
		}
		return err
	}
	if p.modulePath, err = f.ModulePath(ctx, temp); err != nil {
		return err
	}
	p.Module, p.ModuleBytes, err = digestModule(p.modulePath)
	return err
}

func digestModule(path string) (d artifact.Digest, size int64, err error) {
	in, err := os.Open(path) //nolint:gosec // the file that the user packed
	if err != nil {
		return d, 0, fmt.Errorf("module: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil || !bytes.Equal(head, magic) {
		return d, 0, fmt.Errorf("module: %s is not a WebAssembly module; build it with GOOS=wasip1 GOARCH=wasm, or name its package in build", path)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return d, 0, err
	}
	return artifact.DigestReader(in)
}

// Push brings a packed job to the registry; what is there is not sent again.
func Push(ctx context.Context, registry *client.Client, p Packed, observe Observer) error {
	if err := pushProgram(ctx, registry, p, observe); err != nil {
		return err
	}
	if !p.Inputs.IsZero() && !p.Reused() {
		inputs, err := client.FileBlob(client.TypeInputs, p.inputsPath)
		if err != nil {
			return fmt.Errorf("inputs: %w", err)
		}
		if _, err := registry.WithProgress(observe.begin(StageInputs)).PushArtifact(ctx, registry.ContentRepo(p.Owner, client.RepoInputs, p.Inputs), "", client.Inputs(inputs)); err != nil {
			return fmt.Errorf("push the inputs: %w", err)
		}
	}
	spec := client.Spec(p.Spec.Canonical())
	if _, err := registry.WithProgress(observe.begin(StageSpec)).PushArtifact(ctx, registry.ContentRepo(p.Owner, client.RepoSpecs, p.SpecDigest), "", spec); err != nil {
		return fmt.Errorf("push the spec: %w", err)
	}
	return nil
}

func pushProgram(ctx context.Context, registry *client.Client, p Packed, observe Observer) error {
	if p.Program() == StageImage {
		if err := registry.WithProgress(observe.begin(StageImage)).PushImage(ctx, registry.ContentRepo(p.Owner, client.RepoImages, p.Module), p.image); err != nil {
			return fmt.Errorf("push the image: %w", err)
		}
		return nil
	}
	module, err := client.FileBlob(client.TypeModule, p.modulePath)
	if err != nil {
		return fmt.Errorf("module: %w", err)
	}
	if module.Digest != p.Module {
		return fmt.Errorf("module: %s changed while it was packed; push again", p.modulePath)
	}
	if _, err := registry.WithProgress(observe.begin(StageModule)).PushArtifact(ctx, registry.ContentRepo(p.Owner, client.RepoModules, p.Module), "", client.Module(module)); err != nil {
		return fmt.Errorf("push the module: %w", err)
	}
	return nil
}

// MissingError is content of a job that the registry does not hold.
type MissingError struct {
	What   Stage
	Digest artifact.Digest
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the registry has no %s %s; push the job first", e.What, e.Digest)
}

// CheckPushed returns a *MissingError if the registry lacks something of a packed job.
func CheckPushed(ctx context.Context, registry *client.Client, p Packed) error {
	module := p.Module
	if p.Program() == StageImage {
		if has, err := registry.HasImage(ctx, registry.ContentRepo(p.Owner, client.RepoImages, p.Module), p.Module); err != nil {
			return err
		} else if !has {
			return &MissingError{StageImage, p.Module}
		}
		module = artifact.Digest{}
	}
	for _, part := range []struct {
		what   Stage
		repo   string
		digest artifact.Digest
	}{
		{StageModule, client.RepoModules, module}, {StageInputs, client.RepoInputs, p.Inputs}, {StageSpec, client.RepoSpecs, p.SpecDigest},
	} {
		if part.digest.IsZero() {
			continue
		}
		_, err := registry.StatBlob(ctx, registry.ContentRepo(p.Owner, part.repo, part.digest), part.digest)
		if errors.Is(err, client.ErrNotFound) {
			return &MissingError{part.what, part.digest}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
