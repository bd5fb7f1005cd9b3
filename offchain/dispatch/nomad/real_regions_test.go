package nomad_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// realRegion starts a cluster of a region of its own, which joins the federation of another if there is one.
func realRegion(t *testing.T, name string, with *cluster) *cluster {
	t.Helper()
	c := realNomadIn(t, name, with)
	if with == nil {
		return c
	}
	c.eventually(t, "the regions to know each other", func() bool {
		list, err := c.api.Regions().List()
		return err == nil && len(list) == 2
	})
	return c
}

// TestRealRegions: attempts go to the region of their node and are seen there only, also through a server of the other region; when that one is gone, its
// own servers do.
func TestRealRegions(t *testing.T) {
	east := realRegion(t, "east", nil)
	west := realRegion(t, "west", east)
	o := east.options(t, t.TempDir())
	at := map[uint32]string{1: "east", 2: "west", 3: "west"}
	home, err := o.Place(t.Context(), dispatch.AttemptID{})
	require.NoError(t, err)
	west.eventually(t, "the namespace to come over", func() bool {
		_, _, err := west.api.Namespaces().Info(home.Namespace, nil)
		return err == nil
	})
	o.Place = func(_ context.Context, id dispatch.AttemptID) (nomad.Placement, error) {
		p := home
		p.Region = at[id.Slice]
		return p, nil
	}
	through := west.region
	through.Address = east.region.Address // requests are passed on
	o.Regions = []nomad.Region{east.region, through}
	d := openNomad(t, o)
	versions, err := d.Check(t.Context())
	require.NoError(t, err)
	require.Len(t, versions, 2)
	for _, v := range versions {
		require.Len(t, v.Servers, 1, v.Region)
	}
	guest := dispatchtest.BuildGuest(t)
	for _, slice := range []uint32{1, 2} {
		a := dispatchtest.Assignment(guest, 1, "exit", "0")
		a.ID.Slice = slice
		requireReason(t, dispatchtest.RunToEnd(t, d, a), dispatch.ReasonOK, "")
		for _, c := range []*cluster{east, west} {
			jobs, _, err := c.api.Jobs().List(c.query(home.Namespace))
			require.NoError(t, err)
			here := slices.ContainsFunc(jobs, func(j *api.JobListStub) bool { return j.ID == nomad.JobID(a.ID, home.Node) })
			require.Equal(t, c.region.Name == at[slice], here, "slice %d in %s", slice, c.region.Name)
		}
	}
	kill(t, east.server)
	o.Dir, o.Regions = t.TempDir(), []nomad.Region{west.region}
	a := dispatchtest.Assignment(guest, 1, "exit", "0")
	a.ID.Slice = 3
	requireReason(t, dispatchtest.RunToEnd(t, openNomad(t, o), a), dispatch.ReasonOK, "")
}

// inRegion changes a configuration that names the region global.
func inRegion(config, region string) string {
	return strings.ReplaceAll(config, `region = "global"`, fmt.Sprintf("region = %q", region))
}

// join has the server's configuration join the federation of another region, which decides about ACLs.
func (c *cluster) join(t testing.TB, with *cluster) {
	raw, err := os.ReadFile(c.file("server.hcl"))
	require.NoError(t, err)
	text := strings.Replace(string(raw), "acl { enabled = true }", fmt.Sprintf(`acl {
  enabled = true
  replication_token = %q
}`, with.region.Token), 1)
	text = strings.Replace(text, "bootstrap_expect = 1\n", fmt.Sprintf(`bootstrap_expect = 1
  authoritative_region = %q
  server_join { retry_join = ["127.0.0.1:%d"] }
`, with.region.Name, with.ports.serf), 1)
	require.NoError(t, os.WriteFile(c.file("server.hcl"), []byte(text), 0o600))
}
