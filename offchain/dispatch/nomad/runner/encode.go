package runner

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
	"github.com/foggrid/fogd/offchain/image"
)

const (
	// argBytes keeps each argument below what Linux takes as one string, 128 KiB.
	argBytes = 64 << 10
	// maxAssignmentBytes bounds what is unpacked: twice the arguments and variables that an assignment may have, and what an image may say.
	maxAssignmentBytes = 2 << 20
)

// packers spares each assignment the megabyte of tables that a fresh one takes.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// Order is what a runner is to run.
type Order struct {
	dispatch.Assignment
	// Image says what a container of the assignment's image runs; nil for a module.
	Image *image.Defaults `json:"image,omitempty"`
	// Lend says where the assignment's secrets are lent; nil without any.
	Lend *lend.Terms `json:"lend,omitempty"`
}

// Args puts an order into arguments for Run. They hold letters, digits, '-' and '_' only, so that nothing on their way can take a
// part of them for a variable.
func Args(a Order) ([]string, error) {
	raw, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode attempt %s: %w", a.ID, err)
	}
	var packed bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if _, err = w.Write(raw); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode attempt %s: %w", a.ID, err)
	}
	text := base64.RawURLEncoding.EncodeToString(packed.Bytes())
	var args []string
	for len(text) > argBytes {
		args, text = append(args, text[:argBytes]), text[argBytes:]
	}
	return append(args, text), nil
}

// ParseArgs is the inverse of Args.
func ParseArgs(args []string) (Order, error) {
	var a Order
	packed, err := base64.RawURLEncoding.DecodeString(strings.Join(args, ""))
	if err != nil {
		return a, fmt.Errorf("the arguments are no order: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return a, fmt.Errorf("the arguments are no order: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxAssignmentBytes+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return a, fmt.Errorf("the arguments are no order: %w", err)
	}
	if len(raw) > maxAssignmentBytes {
		return a, fmt.Errorf("the order has more than %d bytes", maxAssignmentBytes)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("the arguments are no order: %w", err)
	}
	return a, nil
}
