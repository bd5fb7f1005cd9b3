package jobfile

import (
	"testing"

	"github.com/stretchr/testify/require"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestProfiles(t *testing.T) {
	require.Len(t, profiles, len(jobstypes.Profile_name), "each profile of the chain has a name")
	require.Len(t, grades, len(nodestypes.NetworkGrade_name))
	for name, profile := range profiles {
		require.Equal(t, name, ProfileName(profile))
	}
	f, err := Parse([]byte("version: 1\nname: x\nmodule: x.wasm\nprice: {cap_per_task_hour: 1}\nmax_duration: 1m\nprofile: game\nconstraints: {min_grade: B}\n"))
	require.NoError(t, err)
	require.Equal(t, jobstypes.PROFILE_GAME, f.ChainProfile())
	require.Equal(t, nodestypes.NETWORK_GRADE_B, f.Constraints.ChainGrade())
	_, err = Load("testdata/bad/profile.yaml")
	require.ErrorContains(t, err, `is "gaming"; use one of batch, game, iot, service, storage, streaming`)
	require.ErrorContains(t, err, `is "D"; use one of A, B, C`)
}
