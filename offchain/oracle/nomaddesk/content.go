package nomaddesk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Credentials are those with which Nomad's clients pull the contents of a job; empty if the registry wants none.
type Credentials struct{ Username, Password string }

func (c Credentials) headers() map[string]string {
	if c.Username == "" {
		return nil
	}
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))}
}

// maxImageBytes bounds what an image's layers have in the registry.
const maxImageBytes = 16 << 30

// picture reads what an image says of itself. What is wrong with it is the job's fault.
func picture(ctx context.Context, registry *client.Client, digest artifact.Digest) (image.Defaults, error) {
	raw, err := registry.PullImageManifest(ctx, client.RepoImages, digest)
	if err != nil {
		return image.Defaults{}, handover.Blame(fmt.Errorf("%s %s: %w", client.RepoImages, digest, err))
	}
	m, c, err := image.Read(raw, func(d image.Descriptor) ([]byte, error) {
		return registry.ReadBlob(ctx, client.RepoImages, d.Digest, image.MaxJSON)
	})
	switch {
	case errors.Is(err, image.ErrInvalid):
		return image.Defaults{}, handover.JobFault("%w", err)
	case err != nil:
		return image.Defaults{}, handover.Blame(fmt.Errorf("config of image %s: %w", digest, err))
	}
	size := int64(0)
	for _, l := range m.Layers {
		if size += l.Size; size > maxImageBytes || size < 0 {
			return image.Defaults{}, handover.JobFault("the image has more than %d GiB", maxImageBytes>>30)
		}
	}
	return c.Config, nil
}

// imageRef is an image's name for the clients of a registry at a URL.
func imageRef(at string, digest artifact.Digest) (string, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the registry's address %q has no host", at)
	}
	return u.Host + "/" + client.RepoImages + "@" + digest.String(), nil
}

// contents says where Nomad's clients get what an assignment runs.
func contents(a dispatch.Assignment, at string, registry *client.Client, defaults image.Defaults, c Credentials) (nomad.Content, error) {
	var out nomad.Content
	var err error
	if a.Engine == dispatch.EngineDocker {
		out.Image = nomad.Picture{Username: c.Username, Password: c.Password, Defaults: defaults}
		out.Image.Ref, err = imageRef(at, a.Module)
	} else {
		out.Module = nomad.Source{URL: registry.BlobURL(client.RepoModules, a.Module), Headers: c.headers()}
	}
	if !a.Inputs.IsZero() {
		out.Inputs = nomad.Source{URL: registry.BlobURL(client.RepoInputs, a.Inputs), Headers: c.headers()}
	}
	return out, err
}

// locate says where Nomad's clients download the contents of an attempt, for the dispatcher.
func (d *Desk) locate(ctx context.Context, a dispatch.Assignment) (nomad.Content, error) {
	var defaults image.Defaults
	var c Credentials
	var err error
	if a.Engine == dispatch.EngineDocker {
		if defaults, err = picture(ctx, d.opts.Registry, a.Module); err != nil {
			return nomad.Content{}, err
		}
	}
	if d.opts.Pull != nil {
		if c, err = d.opts.Pull(ctx, a.ID.Job); err != nil {
			return nomad.Content{}, fmt.Errorf("with what clients pull the contents of %s: %w", a.ID.Job, err)
		}
	}
	return contents(a, d.opts.ContentURL, d.content, defaults, c)
}
