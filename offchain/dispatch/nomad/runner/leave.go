package runner

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// leave puts the result, the log and at last the outcome where package nomad looks for them.
func leave(dir string, out dispatch.TaskOutcome) error {
	if err := os.MkdirAll(filepath.Join(dir, leftDir), 0o755); err != nil {
		return err
	}
	for _, f := range []struct{ from, to string }{{out.ResultPath, ResultFile}, {out.LogPath, LogFile}} {
		if f.from == "" {
			continue
		}
		if err := os.Rename(f.from, filepath.Join(dir, f.to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return write(filepath.Join(dir, OutcomeFile), out)
}

// write makes a file appear whole or not at all.
func write(file string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", raw, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// copyProgram copies a program that others may run and not change.
func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}
