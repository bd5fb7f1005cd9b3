package jobfile

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

var oneDigest = artifact.DigestOf([]byte("module"))

func zeroOr(some bool) artifact.Digest {
	if some {
		return artifact.DigestOf([]byte("inputs"))
	}
	return artifact.Digest{}
}

func fullSpec(t testing.TB) Spec {
	f, err := Load("testdata/good/full.yaml")
	require.NoError(t, err)
	s, err := f.Spec(oneDigest, zeroOr(true))
	require.NoError(t, err)
	return s
}

// TestGoldenSpec: a change here changes the spec digest of every job. Make it a new version instead.
func TestGoldenSpec(t *testing.T) {
	want, err := os.ReadFile("testdata/spec.golden.json")
	if *update {
		want, err = fullSpec(t).Canonical(), os.WriteFile("testdata/spec.golden.json", fullSpec(t).Canonical(), 0o644)
	}
	require.NoError(t, err)
	require.Equal(t, string(want), string(fullSpec(t).Canonical()))
	require.Equal(t, "sha256:2054c1c0fa562a1581c31ccf1249abdbbb6ffbfde0a5f3efcd910962a410052e", fullSpec(t).Digest().String())
}

func serviceSpec(t testing.TB) Spec {
	f, err := Load("testdata/good/service.yaml")
	require.NoError(t, err)
	s, err := f.Spec(oneDigest, zeroOr(false))
	require.NoError(t, err)
	return s
}

// TestGoldenServiceSpec: as for batch jobs.
func TestGoldenServiceSpec(t *testing.T) {
	s := serviceSpec(t)
	if *update {
		require.NoError(t, os.WriteFile("testdata/service.golden.json", s.Canonical(), 0o644))
	}
	want, err := os.ReadFile("testdata/service.golden.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(s.Canonical()))
	back, err := ParseSpec(want)
	require.NoError(t, err)
	require.Equal(t, s.Service, back.Service)
	for name, c := range map[string]struct{ from, to string }{
		"no service":   {`,"service":{`, `,"servant":{`},
		"an end":       {`"max_duration":0`, `"max_duration":1`},
		"module":       {`"docker"`, `"wasm"`},
		"two tasks":    {`"tasks":1`, `"tasks":2`},
		"health":       {`"port":"web"`, `"port":"wob"`},
		"volume":       {`"size_mib":1024`, `"size_mib":1025`},
		"unknown":      {`"outbound":true`, `"outbound":true,"inbound":true`},
		"missing":      {`"outbound":true,`, ``},
		"other order":  {`"name":"web","protocol":"tcp"`, `"protocol":"tcp","name":"web"`},
		"service null": {`"service":{`, `"service":null,"x":{`},
	} {
		changed := strings.Replace(string(want), c.from, c.to, 1)
		require.NotEqual(t, string(want), changed, name)
		_, err := ParseSpec([]byte(changed))
		require.Error(t, err, name)
	}
}

// TestServiceFitsTheDispatcher: a valid spec of a service is one that an agent accepts.
func TestServiceFitsTheDispatcher(t *testing.T) {
	s := serviceSpec(t)
	_, err := s.Service.Dispatch(map[string]uint16{"web": 20001})
	require.ErrorIs(t, err, ErrSpec)
	service, err := s.Service.Dispatch(map[string]uint16{"web": 20001, "game-udp": 27015})
	require.NoError(t, err)
	require.NoError(t, dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1x"}, FirstTask: 2, Tasks: 1, JobTasks: 3, Engine: s.Engine, Module: s.Module, ModulePath: "/m",
		CPUMilli: uint32(s.CPU), MemoryMiB: uint32(s.Memory), StorageMiB: uint32(s.Storage), Service: service,
	}.Validate())
	require.Equal(t, dispatch.Health{
		Kind: dispatch.HealthHTTP, Port: "web", Path: "/health", Interval: 15 * time.Second, Timeout: 2 * time.Second, Grace: time.Minute,
	}, service.Health)
	require.Equal(t, []dispatch.Volume{{Name: "data", Path: "/var/lib/shop", SizeMiB: 1024}}, service.Volumes)
	require.EqualValues(t, 27015, service.Ports[1].Host)
	require.True(t, service.Outbound)
}

func TestCanonicalIsJSON(t *testing.T) {
	s := fullSpec(t)
	var back Spec
	require.NoError(t, json.Unmarshal(s.Canonical(), &back))
	require.Equal(t, s, back)

	s.Args, s.Env, s.Inputs = nil, nil, artifact.Digest{}
	empty := s
	empty.Args, empty.Env = []string{}, map[string]string{}
	require.Equal(t, s.Canonical(), empty.Canonical(), "nothing and empty are the same")
	require.Contains(t, string(s.Canonical()), `"args":[],`)
	require.Contains(t, string(s.Canonical()), `"inputs":"",`)
	s.Args = []string{"\x00\b\t\n\f\r\x1f\"\\/<>&\u2028é😀"}
	require.Contains(t, string(s.Canonical()), "[\"\\u0000\\b\\t\\n\\f\\r\\u001f\\\"\\\\/<>&\u2028é😀\"]")
}

func TestParseSpec(t *testing.T) {
	golden := string(fullSpec(t).Canonical())
	s, err := ParseSpec([]byte(golden))
	require.NoError(t, err)
	require.Equal(t, fullSpec(t), s)

	for name, c := range map[string]struct{ from, to string }{
		"space":           {`{"args"`, `{ "args"`},
		"trailing":        {`"version":1}`, `"version":1} `},
		"second":          {`"version":1}`, `"version":1}{}`},
		"case":            {`"tasks"`, `"Tasks"`},
		"twice":           {`"tasks":256`, `"tasks":256,"tasks":256`},
		"float":           {`"tasks":256`, `"tasks":256.0`},
		"escape":          {`"name":"full"`, `"name":"f\u0075ll"`},
		"missing default": {`"gpus":0,`, ``},
		"unknown":         {`"gpus":0,`, `"gpus":0,"ha":0,`},
		"not JSON":        {`{"args"`, `["args"`},
		"version":         {`"version":1`, `"version":2`},
		"engine":          {`"wasm"`, `"podman"`},
		"no module":       {oneDigest.String(), ``},
		"bad digest":      {oneDigest.String(), `sha256:00`},
		"tasks":           {`"tasks":256`, `"tasks":0`},
		"reserved":        {`"SEED"`, `"FOG_"`},
		"negative":        {`"tasks":256`, `"tasks":-1`},
		"memory":          {`"memory_mib":1536`, `"memory_mib":4097`},
		"null":            {`"gpus":0`, `"gpus":null`},
		"not UTF-8":       {`"full"`, "\"ful\xff\""},
	} {
		changed := strings.Replace(golden, c.from, c.to, 1)
		require.NotEqual(t, golden, changed, name)
		_, err := ParseSpec([]byte(changed))
		require.Error(t, err, name)
		if name == "space" || name == "twice" || name == "escape" || name == "case" {
			require.ErrorIs(t, err, ErrNotCanonical, name)
		}
	}
	_, err = ParseSpec(make([]byte, MaxSpecBytes+1))
	require.ErrorIs(t, err, ErrSpec)
}

func TestSpecNeedsWhatTheFileSays(t *testing.T) {
	f, err := Load("testdata/good/full.yaml")
	require.NoError(t, err)
	_, err = f.Spec(oneDigest, artifact.Digest{})
	require.ErrorIs(t, err, ErrSpec)
	_, err = f.Spec(artifact.Digest{}, zeroOr(true))
	require.ErrorIs(t, err, ErrSpec)
	f, err = Load("testdata/good/least.yaml")
	require.NoError(t, err)
	_, err = f.Spec(oneDigest, zeroOr(true))
	require.ErrorIs(t, err, ErrSpec)
}

// TestLimitsFitTheDispatcher: a spec at its limits is one that an agent accepts.
func TestLimitsFitTheDispatcher(t *testing.T) {
	s := fullSpec(t)
	s.Tasks, s.CPU, s.Memory, s.Storage, s.MaxDuration = MaxTasks, MaxCPU, MaxMemory, MaxStorage, MaxSeconds
	s.Args, s.Env = make([]string, MaxArgs-1), map[string]string{}
	s.Env["A"] = strings.Repeat("x", MaxArgBytes-2*MaxArgs-1)
	require.NoError(t, s.Validate())
	require.Less(t, len(s.Canonical()), MaxSpecBytes)
	a := dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1x"}, FirstTask: MaxTasks - 256, Tasks: 256, JobTasks: s.Tasks, Engine: s.Engine,
		Module: s.Module, ModulePath: "/m", Inputs: s.Inputs, InputsDir: "/i", Args: s.Args, Env: s.Env,
		CPUMilli: uint32(s.CPU), MemoryMiB: uint32(s.Memory), StorageMiB: uint32(s.Storage), MaxDuration: time.Duration(s.MaxDuration) * time.Second,
	}
	require.NoError(t, a.Validate())

	s.Env["A"] += "x"
	require.ErrorContains(t, s.Validate(), "args and env have")
}

func FuzzParseSpec(f *testing.F) {
	f.Add(fullSpec(f).Canonical())
	f.Add(serviceSpec(f).Canonical())
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSpec(data)
		if err != nil {
			return
		}
		if string(s.Canonical()) != string(data) {
			t.Fatalf("%q was accepted", data)
		}
	})
}

// Secrets are in the spec by reference, in order of their names; specs without any are as before.
func TestSpecOfSecrets(t *testing.T) {
	require.NotContains(t, string(fullSpec(t).Canonical()), "secrets")
	f, err := Load("testdata/good/full.yaml")
	require.NoError(t, err)
	f.Secrets = []SecretRef{{"TOKEN", "ci/token"}, {"PASSWORD", "password"}}
	s, err := f.Spec(oneDigest, zeroOr(true))
	require.NoError(t, err)
	raw := string(s.Canonical())
	require.Contains(t, raw, `"secrets":[{"name":"PASSWORD","path":"password"},{"name":"TOKEN","path":"ci/token"}]`)
	back, err := ParseSpec([]byte(raw))
	require.NoError(t, err)
	require.Equal(t, s, back)
	require.NotContains(t, raw, "nomad")
	agreed := s
	agreed.SecretsOnNomad = true
	back, err = ParseSpec(agreed.Canonical())
	require.NoError(t, err)
	require.Equal(t, agreed, back)
	for name, c := range map[string]struct{ from, to string }{
		"another's":   {"ci/token", "../fog1other/token"},
		"a value":     {`"path":"password"`, `"path":"password","value":"x"`},
		"other order": {"PASSWORD", "ZZZ"},
		"none":        {`[{"name":"PASSWORD","path":"password"},{"name":"TOKEN","path":"ci/token"}]`, `[]`},
		"reserved":    {"PASSWORD", "FOG_JOB"},
	} {
		changed := strings.Replace(raw, c.from, c.to, 1)
		require.NotEqual(t, raw, changed, name)
		_, err := ParseSpec([]byte(changed))
		require.Error(t, err, name)
	}
}
