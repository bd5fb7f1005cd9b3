package direct

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/durable"
)

const (
	attemptsName, cacheName, tasksName, volumesName = "attempts", "cache", "tasks", "volumes"
	gpusFile                                        = "gpus.json"
	attemptFile, doneFile                           = "attempt.json", "done.json"
	stateVersion                                    = 1
)

// errDamaged says that a state file is not what was written.
var errDamaged = errors.New("damaged state file")

// record wraps what is kept on disk, so that a file that was cut or changed is noticed.
type record struct {
	Version int             `json:"version"`
	Sum     artifact.Digest `json:"sum"` // of Body
	Body    json.RawMessage `json:"body"`
}

func writeRecord(file string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	data, err := json.Marshal(record{Version: stateVersion, Sum: artifact.DigestOf(raw), Body: raw})
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return durable.Replace(file, data, 0o600)
}

// readRecord fills body. A missing file is fs.ErrNotExist, an unusable one errDamaged.
func readRecord(file string, body any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: %w: %w", file, errDamaged, err)
	}
	if r.Version != stateVersion || artifact.DigestOf(r.Body) != r.Sum {
		return fmt.Errorf("%s: %w: wrong version or checksum", file, errDamaged)
	}
	if err := json.Unmarshal(r.Body, body); err != nil {
		return fmt.Errorf("%s: %w: %w", file, errDamaged, err)
	}
	return nil
}

// attemptRecord is the body of attempt.json.
type attemptRecord struct {
	ID          dispatch.AttemptID `json:"id"`
	Fingerprint artifact.Digest    `json:"fingerprint"`
	Engine      string             `json:"engine,omitempty"`
}

func attemptDir(root string, id dispatch.AttemptID) string {
	return filepath.Join(root, attemptsName, fmt.Sprintf("%s_s%d_a%d", id.Job, id.Slice, id.Attempt))
}

// LogPath is where the log of a running task lies, relative to Options.Dir.
func LogPath(id dispatch.AttemptID, task uint32) string {
	return filepath.Join(taskDir(attemptDir("", id), task), logName)
}

func taskDir(attempt string, task uint32) string {
	return filepath.Join(attempt, tasksName, strconv.FormatUint(uint64(task), 10))
}

// openAttempt makes the attempt's folder, or takes up what an earlier process left there. A folder whose record is damaged says
// nothing about what ran and is cleared.
func openAttempt(dir string, want attemptRecord) error {
	id := want.ID
	var have attemptRecord
	err := readRecord(filepath.Join(dir, attemptFile), &have)
	switch {
	case err == nil && have.ID == id && have.Fingerprint == want.Fingerprint:
		return nil
	case err == nil && have.ID == id:
		return fmt.Errorf("attempt %s: %w", id, dispatch.ErrConflict)
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged):
		return fmt.Errorf("attempt %s: %w", id, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("attempt %s: %w", id, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, tasksName), 0o755); err != nil {
		return fmt.Errorf("attempt %s: %w", id, err)
	}
	if err := writeRecord(filepath.Join(dir, attemptFile), want); err != nil {
		return fmt.Errorf("attempt %s: %w", id, err)
	}
	return nil
}

// loadTask returns a finished task's outcome, if its record is whole and its result is still what the record says.
func loadTask(dir string, task uint32) (dispatch.TaskOutcome, bool) {
	var out dispatch.TaskOutcome
	if err := readRecord(filepath.Join(dir, doneFile), &out); err != nil || out.Task != task {
		return dispatch.TaskOutcome{}, false
	}
	f, err := os.Open(filepath.Join(dir, resultName))
	if err != nil {
		return dispatch.TaskOutcome{}, false
	}
	got, size, err := artifact.DigestReader(f)
	if err = errors.Join(err, f.Close()); err != nil || got != out.Result || size != out.ResultSize {
		return dispatch.TaskOutcome{}, false
	}
	return withPaths(dir, out), true
}

// withPaths adds where the files are. A result that could not be written has no path.
func withPaths(dir string, out dispatch.TaskOutcome) dispatch.TaskOutcome {
	out.LogPath = filepath.Join(dir, logName)
	file := filepath.Join(dir, resultName)
	if info, err := os.Stat(file); err == nil && info.Size() == out.ResultSize {
		out.ResultPath = file
	}
	return out
}
