package devnettest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plantedSealed is in the inputs and the results of encrypted jobs.
const plantedSealed = "planted-input-2b91c6f3"

// encrypted runs jobs whose inputs and results are encrypted, in a module and, if image is set, in a container.
func (g *grid) encrypted(t *testing.T, image string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(g.work, "input.txt"), []byte(plantedSealed), 0o600))
	waits := g.encryptedFile(t, job{name: "sealed-wait", module: "guest.wasm", args: `wait, "0"`, cap: "5FOG", deadline: 3600})
	g.refused(t, g.net.DeveloperHome(), []string{"fog keys encryption"}, "job", "submit", waits)
	g.developer(t, nil, "keys", "encryption")

	var first, again struct {
		JobID   string `json:"job_id"`
		Existed bool   `json:"existed"`
	}
	g.developer(t, &first, "job", "submit", waits, "--salt", "sealed")
	g.developer(t, &again, "job", "submit", waits, "--salt", "sealed")
	require.Equal(t, first.JobID, again.JobID)
	require.True(t, again.Existed, "encrypting is random, submitting again is not")
	opened := g.openedInputs(t)
	require.Contains(t, opened, g.net.ProviderHome(), "the only place while the task runs")
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(opened), "release"), nil, 0o600))
	require.Equal(t, "0", g.resultFile(t, first.JobID, "task.txt"))

	reports := []string{g.encryptedFile(t, job{name: "sealed-report", module: "guest.wasm", args: `report`, cap: "5FOG", deadline: 3600})}
	if image != "" {
		reports = append(reports, g.encryptedFile(t, job{name: "sealed-container", image: image, args: `report`, cap: "5FOG", deadline: 3600}))
	}
	for _, path := range reports {
		g.developer(t, &first, "job", "submit", path)
		require.Contains(t, g.resultFile(t, first.JobID, "report.txt"), plantedSealed, path)
	}
	raw := filepath.Join(g.work, "raw")
	g.developer(t, nil, "job", "result", first.JobID, "-o", raw, "--raw")
	content, err := os.ReadFile(filepath.Join(raw, "0.tar.age"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(content, []byte("age-encryption.org/v1\n")))
	require.Empty(t, g.holding(t, plantedSealed), "once the tasks have ended")
	g.developer(t, nil, "secret", "prune")
}

// encryptedFile is a job file with an input that is encrypted.
func (g *grid) encryptedFile(t *testing.T, j job) string {
	t.Helper()
	path := g.file(t, j)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("inputs: [input.txt]\nencrypt: true\n")
	require.NoError(t, errors.Join(err, f.Close()))
	return path
}

// resultFile is a file of the first task's result.
func (g *grid) resultFile(t *testing.T, id, name string) (text string) {
	t.Helper()
	g.developer(t, nil, "job", "watch", "--results", id)
	dir := filepath.Join(g.work, "results", id)
	g.developer(t, nil, "job", "result", id, "-o", dir, "--accept")
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == name {
			raw, readErr := os.ReadFile(path)
			text, err = string(raw), readErr
		}
		return err
	}))
	return text
}

// openedInputs waits for the one file with the planted input outside of the developer's folder.
func (g *grid) openedInputs(t *testing.T) string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		found = g.holding(t, plantedSealed)
		return len(found) > 0
	}, 3*time.Minute, 200*time.Millisecond)
	require.Len(t, found, 1)
	return found[0]
}

// holding lists the files of the grid that hold a text; not those that the developer works with.
func (g *grid) holding(t *testing.T, text string) (found []string) {
	t.Helper()
	p := plant{text, []byte(text), nil}
	err := filepath.WalkDir(filepath.Dir(g.work), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // gone since the folder was read
			return nil
		}
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(path, g.work+string(filepath.Separator)) {
			return err
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if p.in(raw) {
			found = append(found, path)
		}
		return err
	})
	require.NoError(t, err)
	return found
}
