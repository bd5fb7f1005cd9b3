package nomaddesk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Credentials are those with which Nomad's clients pull the contents of an attempt; empty if the registry wants none.
type Credentials struct {
	Username, Password string
	// Downloads is the URL below which modules and inputs are at KIND/DIGEST for who shows them; empty: they are downloaded from the registry.
	Downloads string
	// Gateway is the URL of the gateway that lends secrets to who runs the attempt; empty: nobody does.
	Gateway string
	// Registry is the URL of the registry for clients; empty: Options.ContentURL.
	Registry string
}

func (c Credentials) headers() map[string]string {
	if c.Username == "" {
		return nil
	}
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))}
}

// maxImageBytes bounds what an image's layers have in the registry.
const maxImageBytes = 16 << 30

// picture reads what an image says of itself. What is wrong with it is the job's fault.
func picture(ctx context.Context, registry *client.Client, owner string, digest artifact.Digest) (image.Defaults, error) {
	repo := registry.ContentRepo(owner, client.RepoImages, digest)
	raw, err := registry.PullImageManifest(ctx, repo, digest)
	if err != nil {
		return image.Defaults{}, handover.Blame(fmt.Errorf("%s %s: %w", client.RepoImages, digest, err))
	}
	m, c, err := image.Read(raw, func(d image.Descriptor) ([]byte, error) {
		return registry.ReadBlob(ctx, repo, d.Digest, image.MaxJSON)
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

// Shelf is where Nomad's clients find the content of one owner.
type Shelf struct {
	registry *client.Client
	at       string // its URL
	owner    string
}

// NewShelf is that of an owner at a gateway's registry, or without an owner any other registry.
func NewShelf(at, owner string) (Shelf, error) {
	var layout []client.Option
	if owner != "" {
		layout = append(layout, client.WithOwnedRepos())
	}
	registry, err := client.New(at, layout...)
	return Shelf{registry, at, owner}, err
}

// host is that of the registry, as names of images begin.
func (s Shelf) host() (string, error) {
	u, err := url.Parse(s.at)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the registry's address %q has no host", s.at)
	}
	return u.Host, nil
}

// image is an image's name.
func (s Shelf) image(digest artifact.Digest) (string, error) {
	host, err := s.host()
	return host + "/" + s.registry.ContentRepo(s.owner, client.RepoImages, digest) + "@" + digest.String(), err
}

// blob is the address of a module or of inputs in the registry.
func (s Shelf) blob(kind string, digest artifact.Digest) string {
	return s.registry.BlobURL(s.registry.ContentRepo(s.owner, kind, digest), digest)
}

// source is where a client downloads a module or inputs.
func (s Shelf) source(kind string, digest artifact.Digest, c Credentials) nomad.Source {
	if c.Downloads != "" {
		return nomad.Source{URL: c.Downloads + "/" + kind + "/" + digest.String(), Headers: c.headers()}
	}
	return nomad.Source{URL: s.blob(kind, digest), Headers: c.headers()}
}

// contents says where Nomad's clients get what an assignment runs.
func contents(a dispatch.Assignment, s Shelf, defaults image.Defaults, c Credentials) (nomad.Content, error) {
	var out nomad.Content
	var err error
	if a.Engine == dispatch.EngineDocker {
		out.Image = nomad.Picture{Username: c.Username, Password: c.Password, Defaults: defaults}
		out.Image.Ref, err = s.image(a.Module)
	} else {
		out.Module = s.source(client.RepoModules, a.Module, c)
	}
	if !a.Inputs.IsZero() {
		out.Inputs = s.source(client.RepoInputs, a.Inputs, c)
	}
	return out, err
}

// shelf is where the content of an owner is for clients that come with credentials.
func (d *Desk) shelf(owner string, c Credentials) (Shelf, error) {
	if c.Registry != "" {
		return NewShelf(c.Registry, owner)
	}
	return Shelf{d.content, d.opts.ContentURL, owner}, nil
}

// locate says where Nomad's clients download the contents of an attempt, for the dispatcher.
func (d *Desk) locate(ctx context.Context, a dispatch.Assignment) (nomad.Content, error) {
	job, err := d.opts.Chain.Job(ctx, a.ID.Job)
	if err != nil {
		return nomad.Content{}, fmt.Errorf("job %s: %w", a.ID.Job, err)
	}
	var defaults image.Defaults
	if a.Engine == dispatch.EngineDocker {
		if defaults, err = picture(ctx, d.opts.Registry, job.Owner, a.Module); err != nil {
			return nomad.Content{}, err
		}
	}
	var c Credentials
	if d.opts.Pull != nil {
		if c, err = d.opts.Pull(ctx, a.ID); err != nil {
			return nomad.Content{}, fmt.Errorf("with what clients pull the contents of %s: %w", a.ID, err)
		}
	}
	s, err := d.shelf(job.Owner, c)
	if err != nil {
		return nomad.Content{}, err
	}
	out, err := contents(a, s, defaults, c)
	if err != nil {
		return out, err
	}
	if len(a.Secrets) > 0 && c.Gateway != "" {
		out.Lend = &lend.Terms{Gateway: c.Gateway, CA: d.opts.GatewayCA, Owner: job.Owner}
		for _, secret := range a.Secrets {
			out.Lend.Paths = append(out.Lend.Paths, secret.Path)
		}
	}
	host, err := s.host()
	if c.Downloads != "" && strings.HasPrefix(d.opts.Runner.Ref, host+"/"+client.RepoRunner+"@") { // no other registry is shown a ticket
		out.RunnerUsername, out.RunnerPassword = c.Username, c.Password
	}
	return out, err
}
