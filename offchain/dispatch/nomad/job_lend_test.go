package nomad_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
)

// TestJobWithSecrets: a job with secrets has the task that brings them, with the only identity and the only network, and nothing of what they hold.
func TestJobWithSecrets(t *testing.T) {
	place, machine := nomad.Placement{Node: testNode, Region: testRegion}, nomad.Machine{MHz: 1000, Cores: 4, MemoryMiB: 4096}
	service, picture := goldenService()
	for name, c := range map[string]struct {
		a       dispatch.Assignment
		content nomad.Content
		user    string
	}{"module": {goldenAssignment(), nomad.Content{}, "65534:65534"}, "service": {service, picture, "0:0"}} {
		t.Run(name, func(t *testing.T) {
			without, err := c.a.Fingerprint()
			require.NoError(t, err)
			c.a.Secrets = []dispatch.Secret{{Name: "PASSWORD", Path: "db/password", Value: []byte(plantedSecret)}}
			_, err = nomad.Job(c.a, place, machine, c.content, nomad.Image{Ref: testImage})
			require.ErrorContains(t, err, "--gateway")
			c.content.Lend = &lend.Terms{Gateway: "https://grid.example", Owner: secretsOwner, Paths: []string{"db/password"}}
			job, err := nomad.Job(c.a, place, machine, c.content, nomad.Image{Ref: testImage, CacheVolume: "cache"})
			require.NoError(t, err)
			tasks := job.TaskGroups[0].Tasks
			require.Equal(t, nomad.LendTask, tasks[0].Name)
			require.True(t, tasks[0].Lifecycle.Sidecar)
			require.Equal(t, c.user, tasks[0].User, "who shares the folder with the task")
			require.Equal(t, "host", tasks[0].Config["network_mode"])
			require.Equal(t, []string{"fog"}, tasks[0].Identities[0].Audience)
			require.Empty(t, tasks[0].VolumeMounts)
			for _, task := range tasks[1:] {
				require.Empty(t, task.Identities)
				require.NotEqual(t, "host", task.Config["network_mode"])
			}
			raw, err := json.Marshal(job)
			require.NoError(t, err)
			require.NotContains(t, string(raw), plantedSecret)
			with, err := c.a.Fingerprint()
			require.NoError(t, err)
			require.NotEqual(t, without, with)
			c.a.Secrets[0].Value = nil
			again, err := c.a.Fingerprint()
			require.NoError(t, err)
			require.Equal(t, with, again, "what a secret holds is in no fingerprint")
		})
	}
}
