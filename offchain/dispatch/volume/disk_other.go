//go:build !linux

package volume

import (
	"context"
	"errors"
)

var errLinux = errors.New("volumes on disk need Linux")

// Loop is the Disk of Linux, and there is none elsewhere.
type Loop struct{}

// NewLoop says that there is none.
func NewLoop() (*Loop, error) { return nil, errLinux }

// Make implements Disk.
func (*Loop) Make(context.Context, string, uint32) error { return errLinux }

// Resize implements Disk.
func (*Loop) Resize(context.Context, string, uint32) error { return errLinux }

// Attach implements Disk.
func (*Loop) Attach(context.Context, string) (string, error) { return "", errLinux }

// Detach implements Disk.
func (*Loop) Detach(string) error { return errLinux }
