//go:build !linux

package limits

import (
	"context"
	"errors"
)

// Supported says whether this system can be asked if it is in use.
const Supported = false

// Probe looks at the machine.
type Probe struct{}

// NewProbe looks at this machine.
func NewProbe() *Probe { return &Probe{} }

// Look fails: only Linux can be asked.
func (*Probe) Look(context.Context) (Sample, error) {
	return Sample{}, errors.New("only Linux can be asked whether it is in use")
}
