package nomad

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// tokenAge is for how long a token's file is not looked at again.
const tokenAge = time.Second

// token is an ACL token. One in a file may be replaced at any time, as leased tokens are: each request takes the newest, and an event stream that the
// servers end with its token is opened again with the next one.
type token struct {
	file string
	lend func() string // in place of all else

	mu     sync.Mutex
	value  string
	looked time.Time
	seen   os.FileInfo // of the file that value is from, if that is known
}

// now is the token to send with a request. A file that cannot be read, or is empty because it is being written, leaves the one before.
func (t *token) now() string {
	if t.lend != nil {
		return t.lend()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == "" || time.Since(t.looked) < tokenAge {
		return t.value
	}
	t.looked = time.Now()
	info, err := os.Stat(t.file)
	if err != nil || t.seen != nil && os.SameFile(info, t.seen) && info.ModTime().Equal(t.seen.ModTime()) && info.Size() == t.seen.Size() {
		return t.value
	}
	if value, err := readToken(t.file); err == nil {
		t.value, t.seen = value, info
	}
	return t.value
}

func readToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	value := strings.TrimSpace(string(raw))
	if value == "" {
		return "", fmt.Errorf("token: %s is empty", file)
	}
	return value, nil
}
