//go:build !linux

package selftest

import (
	"context"
	"errors"
)

// limits of the agents' processes; zero is none.
type limits struct{ milliCPU, memoryMiB uint64 }

type cage struct{}

func newCage(l limits) (*cage, error) {
	if l != (limits{}) {
		return nil, errors.New("only Linux has control groups")
	}
	return &cage{}, nil
}

func (*cage) take(int) error { return nil }

func (*cage) remove() error { return nil }

func swapOn(context.Context, string, int) (func() error, error) {
	return nil, errors.New("only on Linux is memory limited so that it is swapped")
}
