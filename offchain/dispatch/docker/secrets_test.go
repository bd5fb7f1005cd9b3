package docker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Secrets come into memory through the holder before the task starts; the engine is told of them in no other way.
func TestSecretsInMemory(t *testing.T) {
	d := newDaemon(t, script{})
	e := d.engine()
	tk := task(t, e)
	tk.Assignment.Secrets = []dispatch.Secret{{Name: "A", Value: dispatch.SecretValue("planted")}, {Name: "B", Value: dispatch.SecretValue("more")}}
	_, err := e.Run(t.Context(), tk)
	require.NoError(t, err)
	require.Equal(t, []string{"/run/secrets/A 65532 400 planted", "/run/secrets/B 65532 400 more"}, d.copied)
	require.Len(t, d.created, 2)
	for i, body := range d.created {
		require.NotContains(t, body, "planted")
		require.Contains(t, body, "/run/secrets")
		if i == 1 {
			require.Regexp(t, `"ReadOnly":true[^}]*"Source":"[^"]*-secrets"`, body)
		}
	}
	require.Empty(t, d.left())
}
