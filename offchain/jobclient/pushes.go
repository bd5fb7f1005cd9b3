package jobclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/durable"
)

// Pushes remembers in a file which encrypted inputs were pushed. Encrypting the same inputs again gives other bytes, so that without it a job
// that is submitted again would be another job. The zero pointer remembers nothing.
type Pushes struct{ path string }

// NewPushes remembers in a file, which need not exist yet.
func NewPushes(path string) *Pushes { return &Pushes{path} }

// maxPushes is how many are remembered, the newest.
const maxPushes = 1000

// pushed is one push of encrypted inputs.
type pushed struct {
	// Of is the digest of what was encrypted, for whom.
	Of artifact.Digest `json:"of"`
	// Inputs is the digest of the encrypted archive, which has so many Bytes and opens with the key at the path Key.
	Inputs artifact.Digest `json:"inputs"`
	Bytes  int64           `json:"bytes"`
	Key    string          `json:"key"`
	Time   time.Time       `json:"time"`
}

// pushOf names inputs and those for whom they are encrypted.
func pushOf(inputs artifact.Digest, s Sealing) artifact.Digest {
	return artifact.DigestOf([]byte(strings.Join([]string{inputs.String(), s.Recipient, s.Owner}, "\n")))
}

func (p *Pushes) read() (list []pushed, err error) {
	if p == nil {
		return nil, nil
	}
	raw, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%s cannot be read (%w); remove it, and inputs are encrypted anew", p.path, err)
	}
	return list, nil
}

func (p *Pushes) find(of artifact.Digest) (pushed, bool, error) {
	list, err := p.read()
	for _, one := range list {
		if one.Of == of {
			return one, true, err
		}
	}
	return pushed{}, false, err
}

// Note remembers what is pushed now, in the place of an earlier push of the same.
func (p *Pushes) Note(packed Packed) error {
	if packed.Key.Path == "" {
		return nil
	}
	return p.change(func(list []pushed) []pushed {
		list = slices.DeleteFunc(list, func(one pushed) bool { return one.Of == packed.pushOf })
		return append(list, pushed{packed.pushOf, packed.Inputs, packed.InputsBytes, packed.Key.Path, time.Now().UTC().Truncate(time.Second)})
	})
}

// Forget makes the next Pack encrypt anew what a packed job has reused.
func (p *Pushes) Forget(packed Packed) error {
	return p.change(func(list []pushed) []pushed {
		return slices.DeleteFunc(list, func(one pushed) bool { return one.Of == packed.pushOf })
	})
}

// Since are the paths of the keys that were pushed from here since a time.
func (p *Pushes) Since(t time.Time) ([]string, error) {
	list, err := p.read()
	var paths []string
	for _, one := range list {
		if one.Time.After(t) {
			paths = append(paths, one.Key)
		}
	}
	return paths, err
}

func (p *Pushes) change(edit func([]pushed) []pushed) (err error) {
	if p == nil {
		return nil
	}
	list, err := p.read()
	if err != nil {
		return err
	}
	list = edit(list)
	raw, err := json.MarshalIndent(list[max(0, len(list)-maxPushes):], "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	return durable.Replace(p.path, raw, 0o600)
}
