package vault

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const validConfig = `{"address": "https://vault:8200", "role": "oracle", "name": "main", "ca_cert": "ca.pem",
  "login": {"method": "approle", "role_id": "id", "secret_id_file": "secret-id", "wrapped": true}}`

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte(validConfig), "/etc/fog")
	require.NoError(t, err)
	require.Equal(t, filepath.Join("/etc/fog", "ca.pem"), c.CACert)
	require.Equal(t, AppRole{RoleID: "id", SecretIDFile: filepath.Join("/etc/fog", "secret-id"), Wrapped: true}, c.Login)
	require.Equal(t, DefaultMounts, c.Mounts)
	c, err = parseConfig([]byte(`{"address": "http://v", "role": "gateway", "name": "a", "login": {"method": "jwt", "file": "/run/token"}}`), ".")
	require.NoError(t, err)
	require.Equal(t, JWT{Role: "gateway.a", File: "/run/token"}, c.Login)

	for text, want := range map[string]string{
		`{"server": "x"}`: "unknown field",
		`{} {}`:           "something follows",
		`{"address": "http://v", "role": "oracle", "name": "a"}`:                                   `unknown method ""`,
		`{"login": {"method": "approle"}}`:                                                         "needs role_id",
		`{"login": {"method": "cert"}}`:                                                            "needs client_cert",
		`{"login": {"method": "jwt"}}`:                                                             "needs file",
		`{"address": "http://v", "role": "oracle", "login": {"method": "jwt", "file": "f"}}`:       `name ""`,
		`{"address": "v", "role": "oracle", "name": "a", "login": {"method": "jwt", "file": "f"}}`: "the address is",
	} {
		_, err := parseConfig([]byte(text), ".")
		require.ErrorContains(t, err, want, text)
	}
	_, err = ReadConfig(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorContains(t, err, "where is Vault?")
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(validConfig))
	f.Add([]byte(`{"address": "http://v", "role": "gateway", "name": "a", "login": {"method": "jwt", "file": "/run/token"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseConfig(raw, "dir")
		if err == nil {
			require.NotNil(t, c.Login)
			require.NoError(t, CheckIdentity(c.Role))
			require.NoError(t, CheckIdentity(c.Name))
		}
	})
}
