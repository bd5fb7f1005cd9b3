// Package envelope is how values of secrets travel: encrypted with age for whoever runs an attempt, with what they are for inside. It is small, for
// programs that cannot carry the stores of secrets.
package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
)

// Content says what it is for, so that one envelope cannot pass for another.
type Content struct {
	Attempt string            `json:"attempt"`
	Owner   string            `json:"owner"`
	Expires time.Time         `json:"expires"`
	Values  map[string][]byte `json:"values"`
}

// Errors of Open and Content.For.
var (
	ErrKey     = errors.New("it does not open with this key")
	ErrDamaged = errors.New("it is damaged")
	ErrForeign = errors.New("it is for something else")
)

// maxBytes bounds what is read of an envelope: 16 values of 32 KiB in base64, and what is around them.
const maxBytes = 1 << 20

// Seal encrypts content for a recipient.
func Seal(c Content, to age.Recipient) ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Open decrypts what Seal made; ErrKey or ErrDamaged if it cannot.
func Open(raw []byte, by age.Identity) (Content, error) {
	r, err := age.Decrypt(bytes.NewReader(raw), by)
	if err != nil {
		return Content{}, ErrKey
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil || len(plain) > maxBytes {
		return Content{}, ErrDamaged
	}
	var c Content
	if err := json.Unmarshal(plain, &c); err != nil {
		return Content{}, fmt.Errorf("%w: what is in it are no secrets", ErrDamaged)
	}
	return c, nil
}

// For returns the values of paths, in their order, if they are for an attempt at a job of an owner; else the error is ErrForeign.
func (c Content) For(attempt, owner string, paths []string) ([][]byte, error) {
	if c.Attempt != attempt || c.Owner != owner {
		return nil, fmt.Errorf("%w: %.120s of %.100s", ErrForeign, c.Attempt, c.Owner)
	}
	values := make([][]byte, len(paths))
	for i, path := range paths {
		v, ok := c.Values[path]
		if !ok {
			return nil, fmt.Errorf("%w: it lacks %q", ErrForeign, path)
		}
		values[i] = v
	}
	return values, nil
}
