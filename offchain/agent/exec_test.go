package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/link"
)

// executor runs no command: it sends back what it was given, and says how long a command is by its exit code.
type executor struct{ *process }

func (e executor) Exec(_ context.Context, _ dispatch.AttemptID, _ uint32, c dispatch.Command) (uint32, error) {
	if c.Args[0] == "fail" {
		return 0, dispatch.ErrNoExec
	}
	_, err := c.Out.Write(c.Stdin)
	return uint32(len(c.Args)), err
}

// auditOf reads an agent's audit log.
func auditOf(t *testing.T, p *process) (all []auditEntry) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.dir, "agent", auditFile))
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		var e auditEntry
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		all = append(all, e)
	}
	return all
}

// TestOwnersRunCommands goes from the owner through an oracle to the agent, which checks everything by itself and writes each use down.
func TestOwnersRunCommands(t *testing.T) {
	w := newWorld(t)
	w.oracle("one", func(o *oracle) { o.jobs = jobsOf{w} })
	job := w.job(testJob, 2, "wait", "0")
	owner, err := w.node.Client().Codec().Accounts().BytesToString(ownerKey.PubKey().Address())
	require.NoError(t, err)
	w.change(func() {
		job.Owner = owner
		w.jobs[testJob] = job
	})
	id := w.match(job, 1, 0, 2)
	dir := t.TempDir()
	p := w.run(dir)
	s := execSource{source{p.Agent, p.dispatcher}, executor{p}, nil}
	eventually(t, "the attempt to be under way", func() bool { return p.isUnderWay(id) })
	log, err := openAudit(filepath.Join(dir, "agent"))
	require.NoError(t, err)
	s.audit = log

	ref := link.TaskRef{JobID: testJob, Slice: 1, Attempt: 1, Task: 1}
	command := func(key *secp256k1.PrivKey, nonce byte, args ...string) link.Exec {
		e := link.Exec{NodeID: testNode, Slice: 1, Attempt: 1, Args: args, Stdin: []byte("read"), Issued: time.Now().Unix(), Key: key.PubKey().Bytes()}
		e.Nonce[0] = nonce
		e.Signature, err = key.Sign(e.SigningBytes(testJob, 1))
		require.NoError(t, err)
		return e
	}
	var out bytes.Buffer
	run := func(e link.Exec) (uint32, error) {
		return s.Exec(t.Context(), ref, e, func(_ uint64, piece []byte) error { out.Write(piece); return nil })
	}
	first := command(ownerKey, 1, "ls", "-l")
	code, err := run(first)
	require.NoError(t, err)
	require.EqualValues(t, 2, code)
	require.Equal(t, "read", out.String())

	_, err = run(first)
	require.ErrorIs(t, err, link.ErrExecRefused, "it comes again")
	require.NoError(t, log.close())
	s.audit, err = openAudit(filepath.Join(dir, "agent"))
	require.NoError(t, err)
	_, err = run(first)
	require.ErrorIs(t, err, link.ErrExecRefused, "also after a restart of the agent")
	stranger := &secp256k1.PrivKey{Key: bytes.Repeat([]byte{6}, 32)}
	_, err = run(command(stranger, 2, "ls"))
	require.ErrorIs(t, err, link.ErrExecRefused, "another developer, by an oracle that lets him")
	_, err = run(command(ownerKey, 3, "fail"))
	require.ErrorIs(t, err, dispatch.ErrNoExec)
	altered := command(ownerKey, 4, "ls")
	altered.Args[0] = "rm"
	_, err = run(altered)
	require.ErrorIs(t, err, link.ErrExecRefused)

	var told []string
	for _, e := range auditOf(t, p) {
		told = append(told, e.What)
		require.Equal(t, testJob, e.Job)
		require.WithinDuration(t, time.Now(), e.Time, time.Minute)
	}
	require.Equal(t, []string{"begin", "end", "refused", "refused", "refused", "begin", "end", "refused"}, told)
	ended := auditOf(t, p)[1]
	require.Equal(t, []string{"ls", "-l"}, ended.Args)
	require.EqualValues(t, 2, *ended.ExitCode)
	require.EqualValues(t, 4, ended.OutputBytes)
	require.Equal(t, fmt.Sprintf("%x", []byte(ownerKey.PubKey().Address())), ended.Owner)

	// The agent's events tell of the command to the owner.
	eventually(t, "the owner to be told what happened", func() bool {
		events, text := watchOf(testJob, link.WatchEvents), ""
		events.Once = true
		events.Piece = func(piece link.Piece) error { text += string(piece.Log); return nil }
		require.NoError(t, w.developer().Follow(t.Context(), events))
		told := 0
		for _, e := range []string{`"event":"assigned"`, `"event":"pulled"`, `"event":"began"`, `"event":"exec"`} {
			if strings.Contains(text, e) {
				told++
			}
		}
		return told == 4
	})

	// This agent runs no commands: it was not started so.
	_, err = w.developer().Exec(t.Context(), jobclient.Command{
		JobID: testJob, Task: 1, Args: []string{"ls"}, Owner: owns(ownerKey), Output: func([]byte) error { return nil },
	})
	require.Error(t, err)
	require.NoError(t, s.audit.close())
	s.audit.file.Close()
	_, err = run(command(ownerKey, 5, "ls"))
	require.ErrorContains(t, err, "audit log cannot be written", "what cannot be written down is not run")
	p.release(w.inputs(job))
}

// TestJournalMachine: whatever is kept is in order and whole, and a place in it stays the same place.
func TestJournalMachine(t *testing.T) {
	base, run := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		j := &journal{dir: dir, limit: 1 << 10}
		written, all := 0, []byte{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "events") {
					written++
					require.NoError(t, j.add(dispatch.Event{Event: "e", Message: strings.Repeat("x", written%90), Restarts: uint32(written)}))
				}
				// What was added last is at the end, wherever that is.
				for at, buf := uint64(len(all)), make([]byte, dispatch.MaxLogPiece); ; {
					from, n, err := j.read(at, buf)
					require.NoError(t, err)
					if n == 0 {
						break
					}
					all = append(all, make([]byte, from-uint64(len(all)))...)
					all = append(all, buf[:n]...)
					at = from + uint64(n)
				}
			},
			"restart": func(*rapid.T) { j = &journal{dir: dir, limit: 1 << 10} },
			"": func(t *rapid.T) {
				segments, err := j.segments()
				require.NoError(t, err)
				require.LessOrEqual(t, len(segments), 2)
				if written == 0 {
					return
				}
				from := segments[0].base
				var last dispatch.Event
				for line := range bytes.Lines(all[from:]) {
					var e dispatch.Event
					require.NoError(t, json.Unmarshal(line, &e))
					require.True(t, last.Restarts == 0 || e.Restarts == last.Restarts+1)
					last = e
				}
				require.EqualValues(t, written, last.Restarts)
			},
		})
	})
}

func TestExecOutputIsBounded(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	w := &execWriter{emit: func(uint64, []byte) error { return nil }, stop: stop}
	var err error
	for range execOutput>>20 + 1 {
		_, err = w.Write(make([]byte, 1<<20))
	}
	require.ErrorIs(t, err, errExecOutput)
	require.ErrorIs(t, context.Cause(ctx), errExecOutput)
	require.True(t, errors.Is(err, errExecOutput))
}
