package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/match"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// TestVolumesReachMatching: what the chain takes for a node with disk, and for a service that needs one, matching takes for it too.
func TestVolumesReachMatching(t *testing.T) {
	require.Equal(t, match.DiskVolumes, match.Attribute{Key: nodestypes.AttributeVolumes, Value: nodestypes.VolumesDisk})
	n := nodestypes.Node{Attributes: nodestypes.Node{}.WithVolumes(true)}
	require.Contains(t, matchNode(n, match.ID{}, match.ID{}, match.Resources{}, false).Attributes, match.DiskVolumes)
	account := func(string) (match.ID, error) { return match.ID{}, nil }
	for _, keeps := range []bool{false, true} {
		job := jobstypes.Job{Id: jobstypes.JobID([]byte("dev"), []byte("a")).Bech32(jobstypes.JobHRP), Type: jobstypes.JOB_TYPE_SERVICE, Service: &jobstypes.Service{KeepsVolumes: keeps}}
		p, err := pending(jobstypes.DefaultParams(), jobstypes.PendingSlice{Job: job, Slice: jobstypes.Slice{TaskCount: 1}}, account)
		require.NoError(t, err)
		require.Equal(t, keeps, p.KeepsVolumes)
	}
}
