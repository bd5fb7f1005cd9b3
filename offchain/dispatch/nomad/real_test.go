package nomad_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

func TestRealConformance(t *testing.T) {
	c := realNomad(t)
	dispatchtest.Run(t, c.open, dispatchtest.WithRelease(c.release))
}

// waiting begins tasks that wait, and returns once n of them run.
func (c *cluster) waiting(t *testing.T, d dispatch.Dispatcher, tasks uint32) dispatch.Assignment {
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(dispatchtest.BuildGuest(t), tasks, "wait", "0"))
	require.NoError(t, d.Start(context.Background(), a))
	for task := range tasks {
		c.eventually(t, "a task that runs", func() bool { return dispatchtest.ReadLog(t, d, a.ID, task) != "" })
	}
	return a
}

// TestRealServerRestart: the server is gone for a while; what runs goes on, and its outcome is told.
func TestRealServerRestart(t *testing.T) {
	c := realNomad(t)
	d := openNomad(t, c.options(t, t.TempDir()))
	a := c.waiting(t, d, 2)
	kill(t, c.server)
	c.release(t, a)
	time.Sleep(5 * time.Second)
	c.startServer(t)
	c.api.SetSecretID(c.region.Token)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
}

// TestRealClientKilled: a client that dies and comes back takes up its containers, if the servers did not give it up meanwhile.
func TestRealClientKilled(t *testing.T) {
	c := realNomad(t)
	d := openNomad(t, c.options(t, t.TempDir()))
	a := c.waiting(t, d, 2)
	kill(t, c.client)
	c.startClient(t)
	c.release(t, a)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
}

// TestRealClientLost: a client that stays away is lost; its tasks end, and do not run again when it is back.
func TestRealClientLost(t *testing.T) {
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	d := openNomad(t, o)
	a := c.waiting(t, d, 2)
	require.NoError(t, c.client.Process.Signal(syscall.SIGSTOP))
	requireReason(t, watch(t, d, a), dispatch.ReasonNode, "client was lost")
	place, err := o.Place(context.Background(), a.ID)
	require.NoError(t, err)
	job, _, err := c.api.Jobs().Info(nomad.JobID(a.ID, place.Node), c.query(place.Namespace))
	require.NoError(t, err)
	require.True(t, *job.Stop)
	time.Sleep(time.Minute) // as long as the issue asks for; the tasks go on without anybody who looks after them
	require.NoError(t, c.client.Process.Signal(syscall.SIGCONT))
	c.eventually(t, "an end of all containers", func() bool { return len(c.containers(t)) == 0 })
	list, _, err := c.api.Jobs().Allocations(*job.ID, true, c.query(place.Namespace))
	require.NoError(t, err)
	require.Len(t, list, 2, "a lost task was placed again")
}

// TestRealCache: with a host volume for it, what one task compiled is there for the next.
func TestRealCache(t *testing.T) {
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	o.Image.CacheVolume = "fog-cache"
	d := openNomad(t, o)
	guest := dispatchtest.BuildGuest(t)
	var kept []string
	for slice := range uint32(2) {
		a := dispatchtest.Assignment(guest, 1, "exit", "0")
		a.ID.Slice = slice
		requireReason(t, dispatchtest.RunToEnd(t, d, a), dispatch.ReasonOK, "")
		files, err := filepath.Glob(c.file("cache/*/*"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		if slice == 0 {
			kept = files
		}
		require.Equal(t, kept, files)
	}
}

// TestRealRecordings compares what a real server answers with the shapes that the stand-in answers with, field by field; with -update it
// writes them anew. They are of Nomad 2; before, servers answer with fewer fields.
func TestRealRecordings(t *testing.T) {
	c := realNomad(t)
	if !c.isTwo(t) {
		t.Skip("this Nomad is older than the recordings")
	}
	o := c.options(t, t.TempDir())
	d := openNomad(t, o)
	a := dispatchtest.Assignment(dispatchtest.BuildGuest(t), 1, "exit", "3")
	requireReason(t, dispatchtest.RunToEnd(t, d, a), dispatch.ReasonExit, "")
	place, err := o.Place(context.Background(), a.ID)
	require.NoError(t, err)
	job := "/v1/job/" + nomad.JobID(a.ID, place.Node)
	for name, path := range map[string]string{
		"node": "/v1/nodes", "allocation": job + "/allocations", "evaluation": job + "/evaluations", "members": "/v1/agent/members",
	} {
		c.record(t, name, path, place.Namespace)
	}
}

// isTwo reports whether the server is of version 2 or later.
func (c *cluster) isTwo(t *testing.T) bool {
	members, err := c.api.Agent().Members()
	require.NoError(t, err)
	return members.Members[0].Tags["build"] >= "2"
}

// record compares an answer of the server with what is recorded under a name, or records it.
func (c *cluster) record(t *testing.T, name, path, namespace string) {
	var answer any
	q := c.query(namespace)
	q.Params = map[string]string{"resources": "true"}
	_, err := c.api.Raw().Query(path, &answer, q)
	require.NoError(t, err)
	if list, ok := answer.([]any); ok {
		require.NotEmpty(t, list)
		answer = list[0]
	}
	file := filepath.Join("nomadtest", "recordings", name+".json")
	if !c.isTwo(t) {
		return
	}
	if *update {
		raw, err := json.MarshalIndent(answer, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(raw, '\n'), 0o644))
	}
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var recorded any
	require.NoError(t, json.Unmarshal(raw, &recorded))
	require.Equal(t, fields(recorded), fields(answer), "the answer to %s has another shape; record it with -update", path)
}

// fields are the names on the top level, or on that of the first member.
func fields(answer any) []string {
	object := answer.(map[string]any)
	if members, ok := object["Members"].([]any); ok {
		object = members[0].(map[string]any)
	}
	for key, value := range object { // an object whose keys are ids
		if member, ok := value.(map[string]any); ok && member["ID"] == key {
			object = member
		}
	}
	return slices.Sorted(maps.Keys(object))
}

// TestRealHCL: Nomad reads from the printed job what it reads from the job itself.
func TestRealHCL(t *testing.T) {
	c := realNomad(t)
	if !c.isTwo(t) {
		t.Skip("this Nomad's job files do not know max_run_duration")
	}
	module := nomad.Content{
		Module: nomad.Source{URL: "https://registry/m", Headers: map[string]string{"Authorization": `Bearer "m" %{x}`}},
		Inputs: nomad.Source{URL: "https://registry/i"},
	}
	place := nomad.Placement{Node: testNode, Region: testRegion, Class: "c7", Deadline: time.Now()}
	runner := nomad.Image{Ref: "registry/image@sha256:00", Username: "job", Password: "token", CacheVolume: "fog-cache"}
	service, picture := goldenService()
	for name, job := range map[string]struct {
		a       dispatch.Assignment
		content nomad.Content
		disk    bool
	}{"module": {goldenAssignment(), module, false}, "service": {service, picture, false}, "service with volumes on disk": {service, picture, true}} {
		t.Run(name, func(t *testing.T) {
			job, err := nomad.Job(job.a, place, nomad.Machine{MHz: 1000, Cores: 2, MemoryMiB: 4096, Disk: job.disk}, job.content, runner)
			require.NoError(t, err)
			var text bytes.Buffer
			require.NoError(t, nomad.WriteHCL(&text, job))
			parsed, err := c.api.Jobs().ParseHCL(text.String(), true)
			require.NoError(t, err, "%s", text.String())
			job.Canonicalize()
			// A block without a count comes back as a list of one, wherever a driver has it.
			want, err := json.MarshalIndent(job, "", " ")
			require.NoError(t, err)
			got, err := json.MarshalIndent(parsed, "", " ")
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))

			plan, _, err := c.api.Jobs().Plan(job, false, nil)
			require.NoError(t, err)
			require.NotEmpty(t, plan.FailedTGAllocs, "no client has the class")
		})
	}
}

// oraclePolicy is what docs/nomad.md says that an oracle's token needs.
const oraclePolicy = `
namespace "%s" { capabilities = ["list-jobs", "read-job", "submit-job", "read-fs"] }
node { policy = "read" }
agent { policy = "read" }
`

// newToken makes one with a policy of these rules, which replaces that of tokens before.
func (c *cluster) newToken(t *testing.T, rules string) *api.ACLToken {
	_, err := c.api.ACLPolicies().Upsert(&api.ACLPolicy{Name: "oracle", Rules: rules}, nil)
	require.NoError(t, err)
	made, _, err := c.api.ACLTokens().Create(&api.ACLToken{Name: "oracle", Type: "client", Policies: []string{"oracle"}}, nil)
	require.NoError(t, err)
	return made
}

// TestRealTokenReplaced: a leased token that ends while an attempt runs costs nothing, if its successor is in the file.
func TestRealTokenReplaced(t *testing.T) {
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	place, err := o.Place(t.Context(), dispatch.AttemptID{})
	require.NoError(t, err)
	rules := fmt.Sprintf(oraclePolicy, place.Namespace)
	first := c.newToken(t, rules)
	file := c.file("token")
	require.NoError(t, os.WriteFile(file, []byte(first.SecretID), 0o600))
	o.Regions = slices.Clone(o.Regions)
	o.Regions[0].Token, o.Regions[0].TokenFile = "", file
	o.ReconcileEvery = never // so that events must come
	d := openNomad(t, o)
	a := c.waiting(t, d, 1)
	require.NoError(t, os.WriteFile(file, []byte(c.newToken(t, rules).SecretID), 0o600))
	_, err = c.api.ACLTokens().Delete(first.AccessorID, nil)
	require.NoError(t, err)
	c.release(t, a)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
}

// TestRealTokenOfAnOracle: the documented policy is enough, and without one nothing works.
func TestRealTokenOfAnOracle(t *testing.T) {
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	place, err := o.Place(context.Background(), dispatch.AttemptID{})
	require.NoError(t, err)
	token := func(rules string) string { return c.newToken(t, rules).SecretID }
	o.Regions = slices.Clone(o.Regions)
	o.Regions[0].Token = token(fmt.Sprintf(oraclePolicy, place.Namespace))
	o.ReconcileEvery = never // so that events must come
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d := openNomad(t, o)
	versions, err := d.Check(t.Context())
	require.NoError(t, err)
	require.Len(t, versions[0].Servers, 1)
	a := c.waiting(t, d, 1)
	c.release(t, a)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
	require.Empty(t, log.String())
	require.NoError(t, d.Forget(t.Context(), a.ID))
	ended, err := d.Sweep(t.Context(), func(context.Context, dispatch.AttemptID) (bool, error) { return false, nil })
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	kept, err := d.KeptVolumes(t.Context())
	require.NoError(t, err, "without volumes nothing more is needed")
	require.Empty(t, kept)
	require.ErrorContains(t, nomad.Claim(t.Context(), o.Regions[0], "node1other"), "Permission denied", "an oracle cannot say who serves a node")

	o.Dir, o.Regions[0].Token = t.TempDir(), token(`node { policy = "read" }`)
	a.ID.Slice++
	require.ErrorContains(t, openNomad(t, o).Start(t.Context(), a), "Permission denied")
}
