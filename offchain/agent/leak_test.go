package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/link"
)

// lockedBuffer is a log that goes to memory.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// What a job's spec and inputs hold, what its task prints, and the node's own key are in no log of the agent, however the task ends.
func TestJobsContentIsInNoLog(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	var log lockedBuffer
	w.run(t.TempDir(), func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	planted := []string{"planted-in-the-environment", "planted-in-an-argument", hex.EncodeToString(agentKey.Seed()), base64.StdEncoding.EncodeToString(agentKey.Seed())}
	pattern := w.specOf(w.job("job1pattern", 1, "report"))
	for i, args := range [][]string{{"report"}, {"panic"}, {"exit", "3"}, {"no such command"}, {"hog"}} {
		spec := pattern
		spec.Env = map[string]string{"SECRET": planted[0]}
		spec.Args = slices.Concat(args, planted[1:2])
		id := w.match(w.putJob("job1leak"+string(rune('a'+i)), spec), 0, 0, 1)
		report := w.outcome(id)
		require.Equal(t, i == 0, report.Tasks[0].Reason == link.ReasonNone)
	}
	eventually(t, "nothing is logged", func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return bytes.Count(log.text.Bytes(), []byte("reporting")) >= 5
	})
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, secret := range planted {
		require.NotContains(t, log.text.String(), secret)
	}
	require.NotContains(t, log.text.String(), "input of job1pattern")
}
