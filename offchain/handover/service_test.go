package handover_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
)

// Who pays for a bad epoch depends on what the oracles are told: down is the node's fault, unhealthy the service's.
func TestStatesOfServices(t *testing.T) {
	for _, c := range []struct {
		phase  dispatch.ServicePhase
		reason dispatch.Reason
		want   link.ProgressState
	}{
		{dispatch.ServiceStarting, "", link.ProgressDown},
		{dispatch.ServiceRunning, "", link.ProgressRunning},
		{dispatch.ServiceHealthy, "", link.ProgressServing},
		{dispatch.ServiceUnhealthy, "", link.ProgressUnhealthy},
		{dispatch.ServiceRestarting, dispatch.ReasonExit, link.ProgressUnhealthy},
		{dispatch.ServiceRestarting, dispatch.ReasonMemory, link.ProgressUnhealthy},
		{dispatch.ServiceRestarting, dispatch.ReasonNode, link.ProgressDown},
		{dispatch.ServiceStopped, dispatch.ReasonBadImage, link.ProgressUnhealthy},
		{dispatch.ServiceStopped, dispatch.ReasonNode, link.ProgressDown},
		{dispatch.ServiceStopped, dispatch.ReasonStopped, link.ProgressDown},
	} {
		require.Equal(t, c.want, handover.Progress(dispatch.ServiceState{Phase: c.phase, Reason: c.reason}), "%s %s", c.phase, c.reason)
	}
}
