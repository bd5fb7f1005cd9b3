package nomad_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

func variables(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestRegions(t *testing.T) {
	dir := t.TempDir()
	at := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	ca, cert, key, token, other, empty := at("ca", ""), at("cert", ""), at("key", ""), at("token", "secret\n"), at("other", "us-secret"), at("empty", " \n")
	for name, c := range map[string]struct {
		access nomad.Access
		env    map[string]string
		want   []nomad.Region
		err    string
	}{
		"nothing": {},
		"one": {
			access: nomad.Access{Addresses: []string{"https://h:4646/"}, CAs: []string{ca}, Certs: []string{cert}, Keys: []string{key}, TokenFiles: []string{token}},
			want:   []nomad.Region{{Name: "global", Address: "https://h:4646", CACert: ca, ClientCert: cert, ClientKey: key, Token: "secret", TokenFile: token}},
		},
		"several": {
			access: nomad.Access{Addresses: []string{"eu=https://e", "us=http://u:1"}, CAs: []string{ca}, TokenFiles: []string{"us=" + other, token}},
			want:   []nomad.Region{{Name: "eu", Address: "https://e", CACert: ca, Token: "secret", TokenFile: token}, {Name: "us", Address: "http://u:1", CACert: ca, Token: "us-secret", TokenFile: other}},
		},
		"variables": {
			env: map[string]string{
				nomad.EnvAddress: "http://h:1", nomad.EnvRegion: "eu", nomad.EnvToken: "t", nomad.EnvCA: ca, nomad.EnvCert: cert, nomad.EnvKey: key,
			},
			want: []nomad.Region{{Name: "eu", Address: "http://h:1", Token: "t", CACert: ca, ClientCert: cert, ClientKey: key}},
		},
		"flags before variables": {
			access: nomad.Access{Addresses: []string{"http://h:2"}, TokenFiles: []string{token}},
			env:    map[string]string{nomad.EnvAddress: "http://h:1", nomad.EnvToken: "t"},
			want:   []nomad.Region{{Name: "global", Address: "http://h:2", Token: "secret", TokenFile: token}},
		},
		"no URL":           {access: nomad.Access{Addresses: []string{"h:4646"}}, err: "write [REGION=]https://host:port"},
		"with a path":      {access: nomad.Access{Addresses: []string{"http://h/ui"}}, err: "write [REGION=]https://host:port"},
		"no region's name": {access: nomad.Access{Addresses: []string{"e u=http://h"}}, err: "is no name of a region"},
		"twice":            {access: nomad.Access{Addresses: []string{"http://h", "http://g"}}, err: `region "global" has two addresses`},
		"two for all":      {access: nomad.Access{Addresses: []string{"http://h"}, CAs: []string{ca, key}}, err: "are both for all regions"},
		"two for one":      {access: nomad.Access{Addresses: []string{"eu=http://h"}, CAs: []string{"eu=" + ca, "eu=" + key}}, err: `region "eu" is given two values`},
		"key alone":        {access: nomad.Access{Addresses: []string{"http://h"}, Keys: []string{key}}, err: "a client certificate and its key go together"},
		"no such file":     {access: nomad.Access{Addresses: []string{"http://h"}, CAs: []string{dir + "/none"}}, err: "no such file"},
		"no token's file":  {access: nomad.Access{Addresses: []string{"http://h"}, TokenFiles: []string{dir + "/none"}}, err: "token: open"},
		"empty token":      {access: nomad.Access{Addresses: []string{"http://h"}, TokenFiles: []string{empty}}, err: "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.access.Regions(variables(c.env))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func FuzzRegions(f *testing.F) {
	f.Add("eu=https://h:4646", "global")
	f.Add("http://[::1]:4646/", "")
	f.Add("a=b=http://h", "x")
	f.Fuzz(func(t *testing.T, address, region string) {
		got, err := nomad.Access{Addresses: []string{address}}.Regions(variables(map[string]string{nomad.EnvRegion: region}))
		if err != nil {
			return
		}
		require.Len(t, got, 1)
		require.NotEmpty(t, got[0].Name)
		require.True(t, strings.HasPrefix(got[0].Address, "http"), got[0].Address)
		again, err := nomad.Access{Addresses: []string{got[0].Name + "=" + got[0].Address}}.Regions(variables(nil))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
