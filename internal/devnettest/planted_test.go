package devnettest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plant is something that is in no file but these.
type plant struct {
	what   string
	secret []byte
	but    []string
}

// forms are a secret as it is, in hex, and in base64 wherever it begins in what is encoded.
func (p plant) forms() [][]byte {
	text := hex.EncodeToString(p.secret)
	all := [][]byte{p.secret, []byte(text), []byte(strings.ToUpper(text))}
	for skip := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := encoding.EncodeToString(p.secret[skip:])
			all = append(all, []byte(whole[:len(whole)-4]))
		}
	}
	return all
}

func (p plant) in(raw []byte) bool {
	joined := lines.Replace(string(raw))
	return slices.ContainsFunc(p.forms(), func(form []byte) bool {
		return bytes.Contains(raw, form) || strings.Contains(joined, string(form))
	})
}

// lines joins what PEM breaks, also within JSON.
var lines = strings.NewReplacer("\n", "", "\r", "", `\n`, "")

// blocksLack looks at all that the chain's blocks say, transactions and their events.
func (g *grid) blocksLack(t *testing.T, plants ...plant) {
	t.Helper()
	to, err := g.chain.Height(t.Context())
	require.NoError(t, err)
	blocks := 0
	for height := int64(1); height <= to; height++ {
		for _, what := range []string{"block", "block_results"} {
			resp, err := http.Get(fmt.Sprintf("http://%s/%s?height=%d", g.net.State().Validators[0].Address, what, height))
			require.NoError(t, err)
			var body bytes.Buffer
			_, err = body.ReadFrom(resp.Body)
			require.NoError(t, errors.Join(err, resp.Body.Close()))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			for _, p := range plants {
				require.False(t, p.in(body.Bytes()), "%s at height %d has %s", what, height, p.what)
			}
		}
		blocks++
	}
	require.NotZero(t, blocks)
}

// filesLack looks into every file below a folder.
func (g *grid) filesLack(t *testing.T, dir string, plants ...plant) {
	t.Helper()
	logs, files := 0, 0
	eachFile(t, dir, func(path string, raw []byte) {
		for _, p := range plants {
			if p.in(raw) && !slices.Contains(p.but, path) {
				t.Errorf("%s has %s", path, p.what)
			}
		}
		files++
		if isLog(path) {
			logs++
		}
	})
	require.NotZero(t, logs)
	t.Logf("looked for %d secrets in %d files, %d of them logs", len(plants), files, logs)
}

// tokenForm is what tokens of the gateway and of Vault or OpenBao look like.
var tokenForm = regexp.MustCompile(`fogt_[A-Za-z0-9_-]{20,}|\b(?:hvs|hvb|s|b)\.[A-Za-z0-9_-]{20,}`)

// logsLack looks into the logs for what other files may hold, and for tokens of whatever kind.
func (g *grid) logsLack(t *testing.T, dir string, plants ...plant) {
	t.Helper()
	logs := 0
	eachFile(t, dir, func(path string, raw []byte) {
		if !isLog(path) {
			return
		}
		logs++
		for _, p := range plants {
			if p.in(raw) {
				t.Errorf("%s has %s", path, p.what)
			}
		}
		if found := tokenForm.Find(raw); found != nil {
			t.Errorf("%s has a token, %.8s…", path, found)
		}
	})
	t.Logf("looked for %d things and for tokens in %d logs", len(plants), logs)
}

func isLog(path string) bool {
	return strings.HasSuffix(path, ".log") || strings.HasSuffix(path, ".jsonl")
}

func eachFile(t *testing.T, dir string, look func(path string, raw []byte)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			look(path, raw)
		}
		return err
	}))
}
