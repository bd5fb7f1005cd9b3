package autoprice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/pricing"
)

// FileName is where the worker keeps its state, below the agent's folder.
const FileName = "pricing.json"

// State is what a worker has to keep over a restart.
type State struct {
	NodeID string `json:"node_id"`
	// Cost and Ceiling in ufog an hour, of the worker that wrote the state.
	Cost    uint64 `json:"cost"`
	Ceiling uint64 `json:"ceiling"`
	// Next is the first window of offers that is not in Pricer.
	Next   uint64        `json:"next_window"`
	Pricer pricing.State `json:"pricer"`
	// Mix is the proportion of the prices, Seen what the chain had when it was last read, Wanted what was last sent.
	Mix    pricing.Mix `json:"mix"`
	Seen   pricing.Mix `json:"seen"`
	Wanted pricing.Mix `json:"wanted"`
	// Sent is the Unix second at which Wanted was sent.
	Sent int64 `json:"sent"`
}

// Load reads the state below an agent's folder; found is false if there is none.
func Load(dir string) (s State, found bool, err error) {
	path := filepath.Join(dir, FileName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return State{}, false, fmt.Errorf("%s: %w; remove it, and pricing begins anew", path, err)
	}
	return s, true, nil
}

// save writes the state whole or not at all, unless it is what was saved last.
func (w *Worker) save() error {
	raw, err := json.MarshalIndent(w.state, "", "  ")
	if err != nil || bytes.Equal(raw, w.saved) {
		return err
	}
	path := filepath.Join(w.cfg.Dir, FileName)
	temp, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) // one agent at a time has the folder
	if err != nil {
		return err
	}
	_, err = temp.Write(append(raw, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	w.saved = raw
	return nil
}
