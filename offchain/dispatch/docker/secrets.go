package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	// secretsSuffix ends the name of a task's volume of secrets.
	secretsSuffix = "-secrets"
	// secretsSize has room for all that a task can have, at a page's grain.
	secretsSize = dispatch.MaxSecrets*(dispatch.MaxSecretBytes+blockSize) + blockSize
	userID      = 65532
)

// secretMounts are where a task's secrets are, if it has any; the holder's are writable, which the daemon demands of whoever copies to there.
func (e *Engine) secretMounts(t Task, readOnly bool) []mount.Mount {
	if len(t.Assignment.Secrets) == 0 {
		return nil
	}
	return []mount.Mount{{
		Type: mount.TypeVolume, Source: e.name(t) + secretsSuffix, Target: dispatch.SecretsDir, ReadOnly: readOnly,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}}
}

// makeSecrets makes the volume, a tmpfs. A container's environment would be on the daemon's disk, and shown to whoever may inspect it.
func (e *Engine) makeSecrets(ctx context.Context, t Task) error {
	if len(t.Assignment.Secrets) == 0 {
		return nil
	}
	return e.makeVolume(ctx, e.tmpfs(t, e.name(t)+secretsSuffix, secretsSize))
}

// fillSecrets brings the secrets into the volume through the holder, which must run. Only the task's user can read them.
func (e *Engine) fillSecrets(ctx context.Context, t Task) error {
	if len(t.Assignment.Secrets) == 0 {
		return nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	var failed error
	for _, s := range t.Assignment.Secrets {
		failed = errors.Join(failed, w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: s.Name, Mode: 0o400, Uid: userID, Gid: userID, Size: int64(len(s.Value)),
		}))
		_, err := w.Write(s.Value)
		failed = errors.Join(failed, err)
	}
	if err := errors.Join(failed, w.Close()); err != nil {
		return err
	}
	_, err := e.api.CopyToContainer(ctx, e.name(t)+"-hold", client.CopyToContainerOptions{DestinationPath: dispatch.SecretsDir, Content: &archive})
	return err
}
