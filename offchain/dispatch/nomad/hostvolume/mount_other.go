//go:build !linux

package hostvolume

import "errors"

var errLinux = errors.New("volumes on disk need Linux")

// System mounts on Linux, and there is none elsewhere.
type System struct{}

// Mounted implements Mounter.
func (System) Mounted(string) (string, error) { return "", errLinux }

// Mount implements Mounter.
func (System) Mount(string, string) error { return errLinux }

// Unmount implements Mounter.
func (System) Unmount(string) error { return errLinux }

func lock(string) (func(), error) { return nil, errLinux }
