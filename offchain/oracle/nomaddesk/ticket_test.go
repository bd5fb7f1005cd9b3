package nomaddesk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// gate stands for a gateway: it serves the content of one owner to who shows the ticket of an attempt.
type gate struct {
	*world
	server *httptest.Server

	mu    sync.Mutex
	shown []string // user and what was downloaded
}

// behindGateway makes the world's registry one of owners, and has clients pull with tickets.
func (w *world) behindGateway() (*gate, func(*Options)) {
	w.owner = "fog1alice"
	var err error
	w.registry, err = client.New(w.url, client.WithOwnedRepos())
	require.NoError(w.t, err)
	w.pushGuest()
	g := &gate{world: w}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	w.t.Cleanup(g.server.Close)
	return g, func(o *Options) {
		o.Pull = func(_ context.Context, id dispatch.AttemptID) (Credentials, error) {
			return Credentials{Username: id.String(), Password: "of " + id.String(), Downloads: g.server.URL + "/" + id.String()}, nil
		}
	}
}

func (g *gate) serve(rw http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	rest, mine := strings.CutPrefix(r.URL.Path, "/"+user+"/")
	kind, name, _ := strings.Cut(rest, "/")
	digest, err := artifact.ParseDigest(name)
	if !mine || err != nil || password != "of "+user {
		http.Error(rw, "not yours", http.StatusUnauthorized)
		return
	}
	g.mu.Lock()
	g.shown = append(g.shown, user+" "+kind)
	g.mu.Unlock()
	raw, err := g.registry.ReadBlob(r.Context(), client.OwnedRepo(g.owner, kind, digest), digest, 64<<20)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusNotFound)
		return
	}
	rw.Write(raw) //nolint:errcheck // the other side is gone
}

// TestTickets: with a gateway, module and inputs are downloaded by the ticket of the attempt, images pulled by it below their owner's name, and the
// result lies where the gateway looks for it.
func TestTickets(t *testing.T) {
	w := newWorld(t)
	g, tickets := w.behindGateway()
	d := w.desk(tickets)
	s := w.match(w.job("job1x", 1, "report"), 0, 0, 1)
	r := w.report(d, s, 0)
	w.reasons(r, link.ReasonNone)
	require.ElementsMatch(t, []string{"job1x/s0/a1 modules", "job1x/s0/a1 inputs"}, g.shown)
	_, err := w.registry.PullManifest(t.Context(), client.OwnedResultRepo("job1x", 0, 1), artifact.Digest(r.ManifestDigest).String())
	require.NoError(t, err)

	img := w.pushProgram()
	s = w.match(w.container("job1y", img.Digest), 2, 0, 1)
	w.reasons(w.report(d, s, 0), link.ReasonNone)
	require.Equal(t, []string{"job1y/s2/a1:of job1y/s2/a1@" + w.url[len("http://"):] + "/dev/fog1alice/images/" + img.Digest.Hex() + "@" + img.Digest.String()}, w.pulled)
}

// TestTicketForTheRunner: the ticket is shown for the runner only where the gateway's registry has it.
func TestTicketForTheRunner(t *testing.T) {
	w := newWorld(t)
	_, tickets := w.behindGateway()
	host := w.url[len("http://"):]
	for ref, want := range map[string]string{
		host + "/grid/runner@sha256:00":          "job1x/s0/a1",
		"docker.io/grid/runner@sha256:00":        "",
		host + "/grid/other@sha256:00":           "",
		host + ".evil.test/grid/runner@sha256:0": "",
	} {
		d := w.desk(tickets, func(o *Options) { o.Runner = nomad.Image{Ref: ref} })
		s := w.match(w.job("job1x", 1, "report"), 0, 0, 1)
		a, err := (&work{desk: d, slice: s}).prepare(t.Context())
		require.NoError(t, err)
		c, err := d.locate(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, want, c.RunnerUsername, ref)
		job, err := nomad.Job(a, nomad.Placement{Node: testNode, Region: testRegion}, nomad.Machine{MHz: 1000, Cores: 1, MemoryMiB: 4096}, c, d.opts.Runner)
		require.NoError(t, err)
		raw, err := json.Marshal(job.TaskGroups[0].Tasks[0].Config)
		require.NoError(t, err)
		require.Equal(t, want != "", strings.Contains(string(raw), "of job1x/s0/a1"), ref)
		without := c
		without.Module.Headers, without.Inputs.Headers, without.RunnerUsername, without.RunnerPassword = nil, nil, "", ""
		other, err := nomad.Job(a, nomad.Placement{Node: testNode, Region: testRegion}, nomad.Machine{MHz: 1000, Cores: 1, MemoryMiB: 4096}, without, d.opts.Runner)
		require.NoError(t, err)
		require.Equal(t, job.Meta, other.Meta, "the fingerprint knows nothing of tickets")
	}
}

// TestImagesAreWhereTheGatewaySays: an oracle reaches the registry by a door that asks for certificates, which Docker Engines have none of; they are sent to the other one, and so
// is the ticket for the runner.
func TestImagesAreWhereTheGatewaySays(t *testing.T) {
	w := newWorld(t)
	_, tickets := w.behindGateway()
	img := w.pushProgram()
	d := w.desk(tickets, func(o *Options) {
		pull := o.Pull
		o.Runner = nomad.Image{Ref: "grid.test/grid/runner@sha256:00"}
		o.Pull = func(ctx context.Context, id dispatch.AttemptID) (Credentials, error) {
			c, err := pull(ctx, id)
			c.Registry = "https://grid.test"
			return c, err
		}
	})
	s := w.match(w.container("job1y", img.Digest), 2, 0, 1)
	a, err := (&work{desk: d, slice: s}).prepare(t.Context())
	require.NoError(t, err)
	c, err := d.locate(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, "grid.test/dev/fog1alice/images/"+img.Digest.Hex()+"@"+img.Digest.String(), c.Image.Ref)
	require.Equal(t, "job1y/s2/a1", c.RunnerUsername)
}
