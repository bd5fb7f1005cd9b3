package nomad

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/durable"
)

const (
	attemptFile, doneFile, tasksName = "attempt.json", "done.json", "tasks"
	resultName, logName              = "result.tar", "log"
)

// emptyArchive is the archive of an empty folder.
var emptyArchive = make([]byte, 1024)

// record is what attempt.json holds.
type record struct {
	ID          dispatch.AttemptID `json:"id"`
	Fingerprint artifact.Digest    `json:"fingerprint"`
	Place       Placement          `json:"place"`
	// Registered is set once Nomad has the job: from then on it is never registered again.
	Registered bool `json:"registered"`
	Stopped    bool `json:"stopped"`
}

// recordBlock is what the size of attempt.json is a multiple of: what changes in it is written over in place.
const recordBlock = 1024

// writeRecord writes attempt.json without waiting for the disk: what a power cut may take, the job in Nomad still says. It makes one entry in one folder
// and moves nothing: entries wait for the disk's journal, which a Nomad server on the same machine keeps busy.
func writeRecord(dir string, r record) (err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the record of attempt %s: %w", r.ID, err)
	}
	data = append(data, bytes.Repeat([]byte{' '}, recordBlock-len(data)%recordBlock)...)
	f, err := os.OpenFile(filepath.Join(dir, attemptFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func writeJSON(file string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return durable.Replace(file, data, 0o600)
}

// readRecord returns the record of an attempt; nil if there is none that can be read, as before its first start.
func readRecord(dir string) (*record, error) {
	raw, err := os.ReadFile(filepath.Join(dir, attemptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove the attempt", filepath.Join(dir, attemptFile), err)
	}
	return &r, nil
}

func attemptDir(root string, id dispatch.AttemptID) string {
	return filepath.Join(root, fmt.Sprintf("%s_s%d_a%d", id.Job, id.Slice, id.Attempt))
}

// attemptOf is the attempt that a folder is of.
func attemptOf(folder string) (id dispatch.AttemptID, ok bool) {
	rest, attempt, ok := cutNumber(folder, "_a")
	if !ok {
		return id, false
	}
	job, slice, ok := cutNumber(rest, "_s")
	id = dispatch.AttemptID{Job: job, Slice: slice, Attempt: attempt}
	return id, ok && id.Validate() == nil
}

// cutNumber takes the number after the last mark off a name.
func cutNumber(name, mark string) (rest string, n uint32, ok bool) {
	i := strings.LastIndex(name, mark)
	if i < 0 {
		return "", 0, false
	}
	v, err := strconv.ParseUint(name[i+len(mark):], 10, 32)
	return name[:i], uint32(v), err == nil
}

func taskDir(attempt string, task uint32) string {
	return filepath.Join(attempt, tasksName, strconv.FormatUint(uint64(task), 10))
}

// loadTask returns a finished task's outcome, if its result is still what the outcome says.
func loadTask(dir string, task uint32) (dispatch.TaskOutcome, bool) {
	var out dispatch.TaskOutcome
	raw, err := os.ReadFile(filepath.Join(dir, doneFile))
	if err != nil || json.Unmarshal(raw, &out) != nil || out.Task != task {
		return out, false
	}
	f, err := os.Open(filepath.Join(dir, resultName))
	if err != nil {
		return out, false
	}
	got, size, err := artifact.DigestReader(f)
	if err = errors.Join(err, f.Close()); err != nil || got != out.Result || size != out.ResultSize {
		return out, false
	}
	return withPaths(dir, out), true
}

func withPaths(dir string, out dispatch.TaskOutcome) dispatch.TaskOutcome {
	out.ResultPath, out.LogPath = filepath.Join(dir, resultName), filepath.Join(dir, logName)
	return out
}

// keepEmpty is the outcome of a task that left nothing, with an empty result and, unless there is one, an empty log.
func keepEmpty(dir string, out dispatch.TaskOutcome) (dispatch.TaskOutcome, error) {
	out.Result, out.ResultSize = artifact.EmptyDigest, int64(len(emptyArchive))
	err := errors.Join(os.MkdirAll(dir, 0o755), durable.ReplaceWith(filepath.Join(dir, resultName), 0o600, func(w io.Writer) error {
		_, err := w.Write(emptyArchive)
		return err
	}))
	if err != nil {
		return out, err
	}
	log, err := os.OpenFile(filepath.Join(dir, logName), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return out, err
	}
	return out, log.Close()
}
