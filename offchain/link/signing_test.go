package link

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
)

func testKey(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func testReport() Report {
	r := Report{
		NodeID: "node1qqq", JobID: "job1zzz", Slice: 3, Attempt: 2,
		Tasks: []TaskOutcome{{Task: 512, DurationMS: 1500}, {Task: 513, ExitCode: 7, Reason: ReasonExit, DurationMS: 20}, {Task: 600, Reason: ReasonMemory}},
	}
	r.ResultRoot[0], r.ManifestDigest[31] = 0xaa, 0xbb
	return r
}

// vector is a line of testdata/signing.json, which other implementations can be held against.
type vector struct {
	Name, Key, Bytes, Digest, Signature string
}

func TestSigningVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/signing.json")
	require.NoError(t, err)
	var want []vector
	require.NoError(t, json.Unmarshal(raw, &want))

	key := testKey(1)
	nonce := make([]byte, nonceSize)
	for i := range nonce {
		nonce[i] = byte(i)
	}
	pong := pongBytes("fog1oracle", "node1qqq", nonce)
	signed := testReport().Sign(key)
	digest := signed.Digest()
	bare := Report{NodeID: "n", JobID: "j", Tasks: []TaskOutcome{{}}}
	bareDigest := bare.Digest()
	require.Equal(t, []vector{
		{"pong", hex.EncodeToString(key.Seed()), hex.EncodeToString(pong), "", hex.EncodeToString(ed25519.Sign(key, pong))},
		{"report", hex.EncodeToString(key.Seed()), hex.EncodeToString(signed.SigningBytes()), hex.EncodeToString(digest[:]), hex.EncodeToString(signed.Signature)},
		{"smallest report", hex.EncodeToString(key.Seed()), hex.EncodeToString(bare.SigningBytes()), hex.EncodeToString(bareDigest[:]), hex.EncodeToString(bare.Sign(key).Signature)},
	}, want)
}

// TestWatchBytes is what keys of accounts sign, so it may never look like a transaction, and may not change.
func TestWatchBytes(t *testing.T) {
	got := watchSigningBytes("fog1oracle", "job1a", 4, WatchStats, bytes.Repeat([]byte{7}, nonceSize))
	want := "fog/watch/v1\x00" + "\x00\x00\x00\x0afog1oracle" + "\x00\x00\x00\x05job1a" + "\x00\x00\x00\x04" + "\x00\x00\x00\x02" + strings.Repeat("\x07", 32)
	require.Equal(t, want, string(got))
	require.Error(t, new(txtypes.SignDoc).Unmarshal(got))
}

func TestSignatureCoversEverything(t *testing.T) {
	key := testKey(1)
	public := key.Public().(ed25519.PublicKey)
	signed := testReport().Sign(key)
	require.NoError(t, signed.Verify(public))
	require.ErrorIs(t, signed.Verify(testKey(2).Public().(ed25519.PublicKey)), ErrBadSignature)
	require.ErrorIs(t, signed.Verify(nil), ErrBadSignature)
	for name, change := range map[string]func(*SignedReport){
		"node":      func(s *SignedReport) { s.NodeID = "node1qqr" },
		"job":       func(s *SignedReport) { s.JobID = "job1zzy" },
		"border":    func(s *SignedReport) { s.NodeID, s.JobID = "node1qq", "qjob1zzz" },
		"slice":     func(s *SignedReport) { s.Slice++ },
		"attempt":   func(s *SignedReport) { s.Attempt++ },
		"root":      func(s *SignedReport) { s.ResultRoot[5]++ },
		"manifest":  func(s *SignedReport) { s.ManifestDigest[5]++ },
		"task":      func(s *SignedReport) { s.Tasks[0].Task-- },
		"exit code": func(s *SignedReport) { s.Tasks[1].ExitCode++ },
		"reason":    func(s *SignedReport) { s.Tasks[2].Reason = ReasonOutput },
		"duration":  func(s *SignedReport) { s.Tasks[2].DurationMS++ },
		"fewer":     func(s *SignedReport) { s.Tasks = s.Tasks[:2] },
		"signature": func(s *SignedReport) { s.Signature = append([]byte{s.Signature[0] ^ 1}, s.Signature[1:]...) },
		"none":      func(s *SignedReport) { s.Signature = nil },
	} {
		t.Run(name, func(t *testing.T) {
			changed := signed
			changed.Tasks = append([]TaskOutcome{}, signed.Tasks...)
			change(&changed)
			require.ErrorIs(t, changed.Verify(public), ErrBadSignature)
		})
	}
}

func TestReportForm(t *testing.T) {
	many := make([]TaskOutcome, MaxTasks+1)
	for i := range many {
		many[i].Task = uint32(i)
	}
	for name, change := range map[string]func(*Report){
		"no node":          func(r *Report) { r.NodeID = "" },
		"no job":           func(r *Report) { r.JobID = "" },
		"newline":          func(r *Report) { r.JobID = "job1\n" },
		"long id":          func(r *Report) { r.JobID = string(make([]byte, maxIDLength+1)) },
		"no tasks":         func(r *Report) { r.Tasks = nil },
		"many tasks":       func(r *Report) { r.Tasks = many },
		"same task twice":  func(r *Report) { r.Tasks[1].Task = r.Tasks[0].Task },
		"tasks fall":       func(r *Report) { r.Tasks[1].Task = 1 },
		"exit 256":         func(r *Report) { r.Tasks[1].ExitCode = 256 },
		"exit, no code":    func(r *Report) { r.Tasks[1].ExitCode = 0 },
		"code, no exit":    func(r *Report) { r.Tasks[0].ExitCode = 1 },
		"code with memory": func(r *Report) { r.Tasks[2].ExitCode = 1 },
		"unknown reason":   func(r *Report) { r.Tasks[2].Reason = ReasonNode + 1 },
	} {
		r := testReport()
		change(&r)
		require.ErrorIs(t, r.Validate(), ErrMalformed, name)
	}
	r := testReport()
	r.Tasks = many[:MaxTasks]
	require.NoError(t, r.Validate())
}

func TestHelloForm(t *testing.T) {
	good := Hello{NodeID: "node1qqq", BootID: "0123456789abcdef", Version: "v0.1.0"}
	require.NoError(t, good.Validate())
	for name, h := range map[string]Hello{
		"no node":    {BootID: good.BootID, Version: "v"},
		"no version": {NodeID: "n", BootID: good.BootID},
		"no boot":    {NodeID: "n", Version: "v"},
		"short boot": {NodeID: "n", BootID: "01234567", Version: "v"},
		"odd boot":   {NodeID: "n", BootID: good.BootID + "0", Version: "v"},
		"upper boot": {NodeID: "n", BootID: "0123456789ABCDEF", Version: "v"},
	} {
		require.ErrorIs(t, h.Validate(), ErrMalformed, name)
	}
}

func TestProgressForm(t *testing.T) {
	good := Progress{JobID: "job1zzz", State: ProgressRunning, TasksDone: 1, TasksTotal: 2}
	require.NoError(t, good.Validate())
	for name, p := range map[string]Progress{
		"no job":    {State: ProgressRunning},
		"no state":  {JobID: "j"},
		"state":     {JobID: "j", State: ProgressDown + 1},
		"too many":  {JobID: "j", State: ProgressRunning, TasksTotal: MaxTasks + 1},
		"more done": {JobID: "j", State: ProgressRunning, TasksDone: 2, TasksTotal: 1},
	} {
		require.ErrorIs(t, p.Validate(), ErrMalformed, name)
	}
}

func BenchmarkSignReport(b *testing.B) {
	r := testReport()
	r.Tasks = make([]TaskOutcome, MaxTasks)
	for i := range r.Tasks {
		r.Tasks[i].Task = uint32(i)
	}
	key := testKey(1)
	for b.Loop() {
		r.Sign(key)
	}
}
