package devnet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a devnet starts does not get the token with which a Vault is set up.
func TestProgramsDoNotGetTheTokenOfVault(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "root")
	t.Setenv("FOG_PASSPHRASE", "kept")
	require.NotContains(t, environment(), "VAULT_TOKEN=root")
	require.Contains(t, environment(), "FOG_PASSPHRASE=kept")
}
