package devnettest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/secrets/vault/setup"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Things that are planted where a grid without secrets would have something else. What is given to a job is in the registry, but in no log.
const (
	plantedPassphrase  = "planted-passphrase-5b1f0c77"
	plantedEnvironment = "planted-in-the-environment"
	plantedArgument    = "planted-in-an-argument"
	plantedVariable    = "planted-in-a-variable"
	plantedInput       = "planted-in-an-input"
)

// vaultGrid is a grid whose gateway, oracles and agent have their secrets in Vault. Three of four oracles have their feeder in KV, one in Transit.
type vaultGrid struct {
	*grid
	vault *vaulttest.Instance
	logs  string
}

// TestVault is the whole of it: with a real OpenBao or Vault where there is one, else with the stand-in.
func TestVault(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	t.Setenv("FOG_PLANTED", plantedEnvironment)
	t.Setenv("FOG_PASSPHRASE", plantedPassphrase)
	v := &vaultGrid{logs: t.TempDir()}
	v.vault = vaulttest.NewInstance(t, v.logs)
	v.grid = newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4, Gateway: true, Vault: &setup.Admin{Address: v.vault.URL, Token: v.vault.Root},
	})
	v.register(t)
	v.certified(t)
	v.secretJobs(t)
	v.plantedJob(t)
	v.sealed(t)
	v.nomadByTLS(t)
	v.revocation(t)
	v.allRan(t)
	keys, plants := v.keys(t), v.plants(t)
	v.blocksLack(t, append(keys, plants...)...)
	require.NoError(t, v.net.Down(t.Context()))
	dir := filepath.Dir(v.work)
	for _, p := range append(plants, keys...) { // the search would find them
		for _, path := range p.but {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, p.in(raw), "%s is not found in %s", p.what, path)
		}
	}
	v.filesLack(t, dir, append(keys, plants...)...)
	v.logsLack(t, dir, v.inLogs(t)...)
}

// plantedJob is one that is given things that are none of a log's business, and keys that are locked with a passphrase.
func (v *vaultGrid) plantedJob(t *testing.T) {
	require.NoError(t, os.WriteFile(filepath.Join(v.work, "text.txt"), []byte(plantedInput), 0o600))
	path := v.withSecret(t, job{name: "planted", module: "guest.wasm", args: "secret, PASSWORD, " + plantedArgument, cap: "5FOG", deadline: 3600})
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(raw, "env: {SECRET: "+plantedVariable+"}\ninputs: [text.txt]\n"...), 0o600))
	said := v.said(t, v.net.DeveloperHome(), "job", "submit", path)
	id := regexp.MustCompile(`job1[a-z0-9]+`).Find(said)
	require.NotNil(t, id, "%s", said)
	v.secretArrived(t, string(id))
	locked := filepath.Join(v.work, "locked")
	v.run(t, locked, nil, "keys", "add", "main", "--keyring", "file")
	v.said(t, locked, "keys", "show", "main", "--keyring", "file")
}

// said is what a command says at its most talkative, which is looked through too.
func (v *vaultGrid) said(t *testing.T, home string, args ...string) []byte {
	t.Helper()
	out, err := v.command(home, append(args, "--log-level", "debug")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(v.logs, args[0]+"-"+args[1]+".log"), out, 0o600))
	return out
}

// sealed takes Vault away for a minute or more: what runs ends and is paid, what needs a secret waits and says for what, and goes on after.
func (v *vaultGrid) sealed(t *testing.T) {
	long := spinner("through-the-seal")
	long.args = `"-rounds", "400000000"`
	runs := v.send(t, v.file(t, long))
	v.agentRuns(t, runs)
	v.vault.Seal(t)
	from := time.Now()
	require.Equal(t, jobstypes.JOB_STATUS_OPEN, v.job(t, runs).Status)
	waits := v.send(t, v.withSecret(t, job{name: "waits", module: "guest.wasm", args: `secret, PASSWORD`, cap: "5FOG", deadline: 3600}))
	const why = "the gateway's store of secrets does not answer"
	v.refused(t, v.net.DeveloperHome(), []string{why}, "secret", "put", "db/other", "--file", v.value())
	v.running(t, waits)
	until(t, "the agent to say why the job waits", func() bool {
		for line := range strings.Lines(v.logOf(t, "agent")) {
			if strings.Contains(line, waits) && strings.Contains(line, why) {
				return true
			}
		}
		return false
	})
	require.Contains(t, v.logOf(t, "gateway"), "the server is sealed")
	until(t, "the owner to be told why", func() bool {
		out, err := v.command(v.net.DeveloperHome(), "job", "events", waits).Output()
		require.NoError(t, err)
		return strings.Contains(string(out), `"waiting"`) && strings.Contains(string(out), why)
	})
	v.finish(t, runs)
	for time.Since(from) < time.Minute {
		time.Sleep(time.Second)
		require.Equal(t, jobstypes.SLICE_STATUS_MATCHED, v.slices(t, waits)[0].Status, "it waits")
	}
	t.Logf("MEASURED: Vault was sealed for %s; a job that ran was settled meanwhile", time.Since(from).Round(time.Second))
	v.vault.Unseal(t)
	from = time.Now()
	back, err := v.chain.Height(t.Context())
	require.NoError(t, err)
	v.secretArrived(t, waits)
	t.Logf("MEASURED: the job that waited had its result %s after the unsealing", time.Since(from).Round(100*time.Millisecond))
	last := len(v.net.State().Oracles) - 1
	v.awaitVote(t, last, back)
}

// allRan shows that no process has ended.
func (v *vaultGrid) allRan(t *testing.T) {
	for _, p := range v.net.Status() {
		require.True(t, p.Running, p.Name)
	}
	for _, name := range []string{"gateway", "agent", "oracle-0", "oracle-3"} {
		require.NotContains(t, v.logOf(t, name), "panic")
	}
}

// keys are those that Vault keeps, read as its administrator.
func (v *vaultGrid) keys(t *testing.T) (all []plant) {
	client, err := api.NewClient(&api.Config{Address: v.vault.URL})
	require.NoError(t, err)
	client.SetToken(v.vault.Root)
	chain := v.net.State().ChainID
	paths := []string{"agent/" + chain + "/keys/main", "agent/" + chain + "/transport/agent"}
	for i := range v.net.State().Oracles {
		paths = append(paths, fmt.Sprintf("oracle/%s-%d/transport/transport", chain, i))
		if i < len(v.net.State().Oracles)-1 {
			paths = append(paths, fmt.Sprintf("oracle/%s-%d/keys/feeder", chain, i))
		}
	}
	for _, path := range paths {
		secret, err := client.KVv2("fog").Get(context.Background(), path)
		require.NoError(t, err, path)
		raw, err := hex.DecodeString(secret.Data["key"].(string))
		require.NoError(t, err)
		all = append(all, plant{"the key " + path, raw, nil})
	}
	return all
}

// plants are in no file but those from which they come.
func (v *vaultGrid) plants(t *testing.T) []plant {
	login := filepath.Join(v.net.DeveloperHome(), "gateway-login.json")
	raw, err := os.ReadFile(login)
	require.NoError(t, err)
	var token struct{ Secret string }
	require.NoError(t, json.Unmarshal(raw, &token))
	all := []plant{
		v.secret(),
		{"the passphrase", []byte(plantedPassphrase), nil},
		{"the developer's token", []byte(token.Secret), []string{login}},
	}
	for _, path := range []string{filepath.Join(v.net.GatewayHome(), "gateway", "token-key.pem"), filepath.Join(v.tlsDir(), "oracle-0", "key.pem")} {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		block, _ := pem.Decode(raw)
		require.NotNil(t, block)
		all = append(all, plant{"the key of " + path, block.Bytes, []string{path}})
	}
	if v.vault.Real() {
		key, err := hex.DecodeString(v.vault.UnsealKey)
		require.NoError(t, err)
		all = append(all, plant{"the root token of Vault", []byte(v.vault.Root), nil}, plant{"the unseal key of Vault", key, nil})
	}
	return all
}

// inLogs are things that belong into other files.
func (v *vaultGrid) inLogs(t *testing.T) (all []plant) {
	for _, text := range []string{plantedEnvironment, plantedArgument, plantedVariable, plantedInput} {
		all = append(all, plant{text, []byte(text), nil})
	}
	for _, name := range []string{"priv_validator_key.json", "node_key.json"} {
		raw, err := os.ReadFile(filepath.Join(v.net.State().Validators[0].Home, "config", name))
		require.NoError(t, err)
		var file struct {
			PrivKey struct {
				Value []byte `json:"value"`
			} `json:"priv_key"`
		}
		require.NoError(t, json.Unmarshal(raw, &file))
		require.NotEmpty(t, file.PrivKey.Value)
		all = append(all, plant{"the key in " + name, file.PrivKey.Value, nil})
	}
	return all
}
