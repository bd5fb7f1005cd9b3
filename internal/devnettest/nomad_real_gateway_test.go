//go:build linux

package devnettest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// TestRealNomadGateway: a real Nomad and its Docker Engine get the runner, a module, an image and inputs from a gateway by the tickets of the attempts, which
// open nothing when the attempts have ended.
func TestRealNomadGateway(t *testing.T) {
	region, dir := realNomad(t)
	g := realGrid(t, region, true)
	g.registerOnNomad(t, region.Name, func(node string) { require.NoError(t, nomad.Claim(t.Context(), region, node)) })
	g.pullsByTicket(t, true)
	g.secretsOnNomad(t, true)

	listed, err := exec.Command("nomad", "job", "status", "-address", region.Address).Output()
	require.NoError(t, err)
	names := regexp.MustCompile(`fog-job1\S+`).FindAllString(string(listed), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		text, err := exec.Command("nomad", "job", "inspect", "-address", region.Address, name).Output()
		require.NoError(t, err)
		require.False(t, g.secret().in(text), name)
		ref := regexp.MustCompile(`"image": "(\S+/(?:images|runner)\S*@sha256:[0-9a-f]+)"`).FindSubmatch(text)
		password := regexp.MustCompile(`"password": "(foga_[0-9a-f]+)"`).FindSubmatch(text)
		user := regexp.MustCompile(`"username": "(job1\S+)"`).FindSubmatch(text)
		require.True(t, ref != nil && password != nil && user != nil, "%s", text)
		status, err := pullManifest(string(ref[1]), string(user[1]), string(password[1]))
		require.Error(t, err)
		require.Equal(t, 401, status, "the ticket of %s opens something after its end", user[1])
	}
	g.filesLack(t, dir, g.secret())
	require.NoError(t, g.net.Down(t.Context()))
	g.filesLack(t, filepath.Dir(g.work), g.secret())
}
