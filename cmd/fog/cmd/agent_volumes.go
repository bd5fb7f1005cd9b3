package cmd

import (
	"fmt"

	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// Where the volumes of services are.
const (
	volumesAuto   = "auto"
	volumesDisk   = "disk"
	volumesMemory = "memory"

	volumesUsage = "where volumes of services are: disk needs root and e2fsprogs, memory is lost with the Docker Engine; auto is disk if that works"
)

// disk is what keeps the volumes of services; nil if they are memory.
func (a *app) disk(where string) (volume.Disk, error) {
	switch where {
	case volumesMemory:
		return nil, nil
	case volumesAuto, volumesDisk:
	default:
		return nil, usagef("--volumes is %q; it must be %s, %s or %s", where, volumesAuto, volumesDisk, volumesMemory)
	}
	loop, err := volume.NewLoop()
	if err == nil {
		return loop, nil
	}
	if where == volumesDisk {
		return nil, hint(fmt.Errorf("volumes cannot be on disk: %w", err), "mend that, or use --volumes "+volumesMemory)
	}
	a.log.Warn("volumes of services are memory here and are lost with the Docker Engine", "reason", err)
	return nil, nil
}
