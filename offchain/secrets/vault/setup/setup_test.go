package setup_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	deploy "github.com/foggrid/fogd/deploy/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
)

func each(t *testing.T, test func(t *testing.T, c *api.Client, settings map[string]string)) {
	for name, start := range map[string]func(*testing.T) (string, map[string]string){
		"stand-in": func(t *testing.T) (string, map[string]string) {
			return vaulttest.New(t, false).URL, map[string]string{
				"nomad_address": "http://127.0.0.1:4646", "database_url": "postgresql://db", "jwks_url": "http://127.0.0.1/jwks", "cert_ca": "line\nline",
			}
		},
		"real": func(t *testing.T) (string, map[string]string) { return vaulttest.Real(t), nil },
	} {
		t.Run(name, func(t *testing.T) {
			url, settings := start(t)
			c, err := api.NewClient(&api.Config{Address: url})
			require.NoError(t, err)
			c.SetToken(vaulttest.Root)
			test(t, c, settings)
		})
	}
}

func programs(t *testing.T, texts ...string) (all []setup.Program) {
	t.Helper()
	for _, text := range texts {
		p, err := setup.ParseProgram(text)
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

func input(t *testing.T, settings map[string]string) setup.Input {
	return setup.Input{
		Files: deploy.Files, Settings: settings, Programs: programs(t, "oracle+dispatcher=alice", "gateway=main", "agent=node1x", "dispatcher=bob"),
		Getenv: func(name string) string { return "value of " + name },
	}
}

func makePlan(t *testing.T, c *api.Client, in setup.Input) setup.Plan {
	t.Helper()
	plan, err := setup.Make(t.Context(), c, in)
	require.NoError(t, err)
	return plan
}

func apply(t *testing.T, plan setup.Plan) (done int) {
	t.Helper()
	require.NoError(t, plan.Apply(t.Context(), func(setup.Step) { done++ }))
	return done
}

func TestIdempotent(t *testing.T) {
	each(t, func(t *testing.T, c *api.Client, settings map[string]string) {
		in := input(t, settings)
		first := makePlan(t, c, in)
		require.NotEmpty(t, first.Steps)
		for _, s := range first.Steps {
			if s.Path != "fog-pki/config/crl" { // the engine has defaults for it
				require.Equal(t, setup.Create, s.Action, s.Path)
			}
			require.NotEmpty(t, s.Changes, s.Path)
		}
		require.Len(t, makePlan(t, c, in).Steps, len(first.Steps), "planning writes nothing")
		require.Equal(t, len(first.Steps), apply(t, first))
		again := makePlan(t, c, in)
		require.Empty(t, again.Steps)
		require.Equal(t, len(first.Steps)+first.Unchanged, again.Unchanged)
	})
}

func TestDrift(t *testing.T) {
	each(t, func(t *testing.T, c *api.Client, settings map[string]string) {
		in := input(t, settings)
		apply(t, makePlan(t, c, in))
		require.NoError(t, c.Sys().PutPolicyWithContext(t.Context(), "fog.oracle.alice", `path "*" { capabilities = ["sudo"] }`))
		_, err := c.Logical().WriteWithContext(t.Context(), "auth/approle/role/agent.node1x", map[string]any{"token_period": "9h", "token_policies": "root"})
		require.NoError(t, err)
		_, err = c.Logical().WriteWithContext(t.Context(), "sys/mounts/fog-pki/tune", map[string]any{"max_lease_ttl": "1h"})
		require.NoError(t, err)

		plan := makePlan(t, c, in)
		require.Len(t, plan.Steps, 3)
		changes := map[string]string{}
		for _, s := range plan.Steps {
			require.Equal(t, setup.Update, s.Action, s.Path)
			changes[s.Path] = strings.Join(s.Changes, "\n")
		}
		require.Contains(t, changes["fog.oracle.alice"], `- path "*" { capabilities = ["sudo"] }`)
		require.Contains(t, changes["fog.oracle.alice"], `+ path "fog/data/oracle/alice/keys/+" {`)
		require.Contains(t, changes["auth/approle/role/agent.node1x"], `+ token_period: "1h"`)
		require.Contains(t, changes["auth/approle/role/agent.node1x"], `+ token_policies: ["fog.agent.node1x"]`)
		require.Contains(t, changes["fog-pki"], `+ max_lease_ttl: "87600h"`)
		apply(t, plan)
		require.Empty(t, makePlan(t, c, in).Steps)
	})
}

func TestWhatIsLeftOut(t *testing.T) {
	s := vaulttest.New(t, false)
	c, err := api.NewClient(&api.Config{Address: s.URL})
	require.NoError(t, err)
	c.SetToken(vaulttest.Root)
	in := input(t, nil)
	plan := makePlan(t, c, in)
	require.Contains(t, strings.Join(plan.Skipped, "\n"), "fog-nomad/config/access: no setting nomad_address")
	apply(t, plan)

	in.Settings = map[string]string{"nomad_address": "http://127.0.0.1:4646"}
	in.Getenv = func(string) string { return "" }
	plan = makePlan(t, c, in)
	var text []string
	for _, s := range plan.Steps {
		text = append(text, s.Changes...)
	}
	require.Contains(t, strings.Join(text, "\n"), "+ token: (from $FOG_VAULT_NOMAD_TOKEN)")
	require.ErrorContains(t, plan.Apply(t.Context(), func(setup.Step) {}), "FOG_VAULT_NOMAD_TOKEN is not set; set it to the token")
	in.Getenv = func(string) string { return "secret" }
	plan = makePlan(t, c, in)
	require.Equal(t, "fog-nomad/config/access", plan.Steps[0].Path, "it goes on where it stopped")
	apply(t, plan)
	require.Empty(t, makePlan(t, c, in).Steps, "a secret that Vault does not return is no difference")
}

func TestForeignMount(t *testing.T) {
	each(t, func(t *testing.T, c *api.Client, _ map[string]string) {
		require.NoError(t, c.Sys().MountWithContext(t.Context(), "fog", &api.MountInput{Type: "transit"}))
		_, err := setup.Make(t.Context(), c, input(t, nil))
		require.ErrorContains(t, err, "at fog there is a transit instead of a kv; move it away, since fog deletes nothing")
	})
}

func TestFilesAreChecked(t *testing.T) {
	valid := func() fstest.MapFS {
		return fstest.MapFS{"mounts.json": {Data: []byte("[]")}, "auth.json": {Data: []byte("[]")}, "objects.json": {Data: []byte("[]")}}
	}
	for want, change := range map[string]func(fstest.MapFS){
		"mounts.json":                        func(f fstest.MapFS) { delete(f, "mounts.json") },
		"unknown field":                      func(f fstest.MapFS) { f["auth.json"].Data = []byte(`[{"pathh": "x"}]`) },
		"nothing stands for ${region}":       func(f fstest.MapFS) { f["objects.json"].Data = []byte(`[{"path": "x/${region}"}]`) },
		"policies/agent.hcl":                 func(fstest.MapFS) {},
		"nothing stands for ${region}; give": func(f fstest.MapFS) { f["policies/agent.hcl"] = &fstest.MapFile{Data: []byte("${region}")} },
	} {
		files := valid()
		change(files)
		_, err := setup.Make(t.Context(), newStandIn(t), setup.Input{Files: files, Programs: programs(t, "agent=a")})
		require.ErrorContains(t, err, want)
	}
	twice := input(t, nil)
	twice.Programs = programs(t, "agent=a", "agent=a")
	_, err := setup.Make(t.Context(), newStandIn(t), twice)
	require.ErrorContains(t, err, "fog.agent.a is asked for twice")
}

func newStandIn(t *testing.T) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: vaulttest.New(t, false).URL})
	require.NoError(t, err)
	c.SetToken(vaulttest.Root)
	return c
}

func TestParseProgram(t *testing.T) {
	p, err := setup.ParseProgram("oracle+dispatcher=alice")
	require.NoError(t, err)
	require.Equal(t, setup.Program{Role: "oracle", Also: []string{"dispatcher"}, Name: "alice"}, p)
	for _, text := range []string{"", "oracle", "oracle=", "root=x", "oracle+=x", "oracle+oracle=x", "oracle=a/b", "oracle=a.b", "oracle=A", "oracle=${name}", "oracle=a*"} {
		_, err := setup.ParseProgram(text)
		require.Error(t, err, text)
	}
}

// FuzzParseProgram: a name that is taken stands in paths and policies, where it must not mean more than itself.
func FuzzParseProgram(f *testing.F) {
	for _, seed := range []string{"oracle=main", "oracle+dispatcher=a-b", "agent=../x", `agent="`, "gateway=*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := setup.ParseProgram(text)
		if err != nil {
			return
		}
		require.NotContains(t, p.ID(), "/")
		require.False(t, strings.ContainsAny(p.Name, `.*+"$ {}`), p.Name)
	})
}
