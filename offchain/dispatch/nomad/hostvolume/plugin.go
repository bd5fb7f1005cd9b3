package hostvolume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// What Nomad says in the environment.
const (
	EnvOperation  = "DHV_OPERATION"
	envVolumesDir = "DHV_VOLUMES_DIR"
	envName       = "DHV_VOLUME_NAME"
	envParameters = "DHV_PARAMETERS"
)

// version is the plugin's, as it stands in the attributes of a client.
const version = "1.0.0"

// Mounter mounts devices.
type Mounter interface {
	// Mounted returns the device that is mounted on a folder, empty if none is.
	Mounted(dir string) (device string, err error)
	Mount(device, dir string) error
	// Unmount fails while somebody uses the folder.
	Unmount(dir string) error
}

// Plugin carries out what a client of Nomad asks for.
type Plugin struct {
	Disk  volume.Disk
	Mount Mounter
}

// answer is what the client reads.
type answer struct {
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Run carries out the operation that the environment names and writes the answer, an error's too.
func (p Plugin) Run(ctx context.Context, env func(string) string, out io.Writer) error {
	a, err := p.run(ctx, env)
	if err != nil {
		a = answer{Error: err.Error()}
	}
	return errors.Join(err, json.NewEncoder(out).Encode(a))
}

func (p Plugin) run(ctx context.Context, env func(string) string) (answer, error) {
	op := env(EnvOperation)
	switch op {
	case "fingerprint":
		return answer{Version: version}, nil
	case "create", "delete":
	default:
		return answer{}, fmt.Errorf("unknown operation %.40q in %s; a Nomad client runs this program", op, EnvOperation)
	}
	var params map[string]string
	if err := json.Unmarshal([]byte(env(envParameters)), &params); err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrParameters, err)
	}
	v, err := Parse(params)
	if err != nil {
		return answer{}, err
	}
	dir := env(envVolumesDir)
	if !filepath.IsAbs(dir) || env(envName) != v.ID() {
		return answer{}, fmt.Errorf("%w: the volume %.80q in %.80q is none of %s, task %d", ErrParameters, env(envName), dir, v.Replica.Job, v.Replica.Task)
	}
	kept := filepath.Join(dir, "fog")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		return answer{}, err
	}
	unlock, err := lock(filepath.Join(kept, "lock"))
	if err != nil {
		return answer{}, err
	}
	defer unlock()
	store, err := volume.Open(kept, p.Disk)
	if err != nil {
		return answer{}, err
	}
	at := filepath.Join(dir, v.ID())
	if op == "delete" {
		return answer{}, p.remove(store, v, at)
	}
	return p.create(ctx, store, v, at)
}

// create makes the volume ready. A volume that is mounted with its size is ready; one whose size cannot be changed is left as it was.
func (p Plugin) create(ctx context.Context, store *volume.Store, v Volume, at string) (answer, error) {
	ready := answer{Path: at, Bytes: int64(v.MiB) << 20}
	device, err := p.Mount.Mounted(at)
	if err != nil {
		return answer{}, err
	}
	if device == "" {
		return ready, p.bring(ctx, store, v, at)
	}
	before := v
	before.LimitMiB = math.MaxUint64
	if before.MiB, err = store.Size(v.Replica, v.Name); err == nil && before.MiB == v.MiB {
		return ready, nil
	}
	if err := p.Mount.Unmount(at); err != nil {
		return answer{}, fmt.Errorf("its size cannot be changed now: %w", err)
	}
	if err := p.bring(ctx, store, v, at); err != nil {
		return answer{}, errors.Join(err, p.bring(ctx, store, before, at))
	}
	return ready, nil
}

// bring mounts a volume that is not mounted, with its size.
func (p Plugin) bring(ctx context.Context, store *volume.Store, v Volume, at string) error {
	devices, err := store.Attach(ctx, v.Replica, []dispatch.Volume{{Name: v.Name, SizeMiB: v.MiB}}, v.LimitMiB)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	return p.Mount.Mount(devices[v.Name], at)
}

func (p Plugin) remove(store *volume.Store, v Volume, at string) error {
	device, err := p.Mount.Mounted(at)
	if err != nil {
		return err
	}
	if device != "" {
		if err := p.Mount.Unmount(at); err != nil {
			return err
		}
	}
	if err := store.Remove(v.Replica, v.Name); err != nil {
		return err
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
