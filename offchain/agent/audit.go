package agent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/link"
)

// auditFile is below the agent's folder. It only grows; who wants it shorter moves it away while no agent runs.
const auditFile = "exec.log"

// auditEntry is a line of the audit log: who wanted what run where, and how it went. A command has two lines, one from before it began.
type auditEntry struct {
	Time time.Time `json:"time"`
	// What is begin, end or refused.
	What string `json:"what"`
	// Owner is the address whose key has signed, in hex; empty if none has.
	Owner       string   `json:"owner,omitempty"`
	Job         string   `json:"job"`
	Slice       uint32   `json:"slice"`
	Attempt     uint32   `json:"attempt"`
	Task        uint32   `json:"task"`
	Args        []string `json:"args"`
	StdinBytes  int      `json:"stdin_bytes"`
	Nonce       string   `json:"nonce"`
	Refused     string   `json:"refused,omitempty"`
	ExitCode    *uint32  `json:"exit_code,omitempty"`
	Failed      string   `json:"failed,omitempty"`
	OutputBytes uint64   `json:"output_bytes"`
}

// audit is the audit log, by which a request that comes again is known as well.
type audit struct {
	mu   sync.Mutex
	file *os.File
	used map[string]time.Time // by nonce: when it was used
}

// openAudit reads what was used so lately that it could come again.
func openAudit(dir string) (*audit, error) {
	path := filepath.Join(dir, auditFile)
	used, err := readUsed(path)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return &audit{file: f, used: used}, nil
}

func readUsed(path string) (map[string]time.Time, error) {
	used := map[string]time.Time{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return used, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEntry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // a line that a crash has cut
		}
		if e.What == "begin" && time.Since(e.Time) < 4*link.ExecFresh {
			used[e.Nonce] = e.Time
		}
	}
	return used, lines.Err()
}

func (a *audit) close() error { return a.file.Close() }

// write makes a line durable. The caller holds mu.
func (a *audit) write(what string, e auditEntry) error {
	e.Time, e.What = time.Now().UTC(), what
	line, err := json.Marshal(e)
	if err == nil {
		_, err = a.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = a.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("the audit log cannot be written: %w", err)
	}
	return nil
}

// begin takes the nonce, which must not have been taken before.
func (a *audit) begin(e auditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for nonce, at := range a.used {
		if time.Since(at) > 4*link.ExecFresh { // its signature is stale by far
			delete(a.used, nonce)
		}
	}
	if _, again := a.used[e.Nonce]; again {
		e.Refused = "it came before"
		return errors.Join(fmt.Errorf("%w: it came before", link.ErrExecRefused), a.write("refused", e))
	}
	if err := a.write("begin", e); err != nil {
		return err
	}
	a.used[e.Nonce] = time.Now()
	return nil
}

func (a *audit) end(e auditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.write("end", e)
}

func (a *audit) refuse(e auditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.write("refused", e)
}
