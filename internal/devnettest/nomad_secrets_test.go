package devnettest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// secretsOnNomad runs jobs with a planted secret on the node, which Nomad serves, and looks for it in the chain's blocks; contained says that containers are real.
func (g *grid) secretsOnNomad(t *testing.T, contained bool) (jobs []string) {
	t.Helper()
	require.NoError(t, os.WriteFile(g.value(), []byte(planted), 0o600))
	g.developer(t, nil, "secret", "put", "db/password", "--file", g.value())
	guest, err := filepath.Abs(filepath.Join("..", "..", "offchain", "dispatch", "dispatchtest", "testdata", "guest"))
	require.NoError(t, err)
	list := []job{{name: "module-secret", module: "guest.wasm", args: "secret, PASSWORD", tasks: 2, cap: "5FOG", deadline: 3600}}
	if contained {
		list = append(list, job{name: "container-secret", image: guest, args: "secret, PASSWORD", cap: "5FOG", deadline: 3600})
	}
	for _, j := range list {
		path := g.withSecret(t, j)
		appendTo(t, path, "secrets_on_nomad: true\n")
		var out struct {
			JobID string `json:"job_id"`
		}
		g.developer(t, &out, "job", "submit", path)
		g.developer(t, nil, "job", "watch", "--results", out.JobID)
		results := filepath.Join(g.work, "results", out.JobID)
		g.developer(t, nil, "job", "result", out.JobID, "-o", results, "--accept")
		require.Equal(t, jobstypes.CLOSE_REASON_COMPLETED, g.job(t, out.JobID).CloseReason)
		require.Equal(t, fmt.Sprintf("%x\n", sha256.Sum256([]byte(planted))), g.digestIn(t, results), path)
		for _, s := range g.slices(t, out.JobID) {
			require.EqualValues(t, 1, s.Attempt)
		}
		jobs = append(jobs, out.JobID)
	}
	g.blocksLack(t, g.secret())
	return jobs
}
