package types

import (
	"fmt"
	"strings"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Limits of what a job may say.
const (
	MaxSaltLength  = 32
	MaxLabelLength = 64
	// MaxListLength bounds each list of constraints; MaxNodesListed those that name nodes.
	MaxListLength  = 32
	MaxNodesListed = 64
	// MaxPrice is the highest price per task-hour: a million FOG.
	MaxPrice = 1_000_000_000_000
	// MaxPrepaidRuns is the most runs of a periodic job whose budget its submission brings; top-ups bring more.
	MaxPrepaidRuns = 10_000
	// MaxSlicesPerMsg is the most slices that one message settles.
	MaxSlicesPerMsg = 256

	// maxAmount of a top-up is more ufog than there are.
	maxAmount = 1 << 62

	maxCPUMilli   = 1 << 20
	maxMemoryMib  = 1 << 26
	maxStorageMib = 1 << 36
	maxGPUs       = 1 << 10
)

func invalid(field, format string, args ...any) error {
	return ErrInvalidField.Wrapf("%s: %s", field, fmt.Sprintf(format, args...))
}

// quote shortens what a stranger sent, so that an error text stays short.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// validateDigest wants the form of OCI digests: sha256:<64 lower-case hex digits>.
func validateDigest(field, digest string) error {
	hexPart, found := strings.CutPrefix(digest, "sha256:")
	if !found || len(hexPart) != 64 || strings.Trim(hexPart, "0123456789abcdef") != "" {
		return invalid(field, "%s; it must be sha256: and 64 lower-case hex digits", quote(digest))
	}
	return nil
}

// validateLabel wants printable ASCII without spaces.
func validateLabel(field, label string) error {
	if label == "" || len(label) > MaxLabelLength {
		return invalid(field, "%d bytes; it must have 1 to %d", len(label), MaxLabelLength)
	}
	for _, c := range []byte(label) {
		if c <= ' ' || c > '~' {
			return invalid(field, "%s; it must be printable ASCII without spaces", quote(label))
		}
	}
	return nil
}

func validateResources(r nodestypes.Resources) error {
	for _, c := range []struct {
		name            string
		value, min, max uint64
	}{
		{"resources.cpu_milli", r.CpuMilli, 1, maxCPUMilli},
		{"resources.memory_mib", r.MemoryMib, 1, maxMemoryMib},
		{"resources.storage_mib", r.StorageMib, 0, maxStorageMib},
		{"resources.gpus", r.Gpus, 0, maxGPUs},
	} {
		if c.value < c.min || c.value > c.max {
			return invalid(c.name, "%d; it must be %d to %d", c.value, c.min, c.max)
		}
	}
	return nil
}

// TotalResources is what n tasks take; the limits of resources keep it within 64 bits.
func TotalResources(r nodestypes.Resources, n uint32) nodestypes.Resources {
	return nodestypes.Resources{
		CpuMilli: r.CpuMilli * uint64(n), MemoryMib: r.MemoryMib * uint64(n),
		StorageMib: r.StorageMib * uint64(n), Gpus: r.Gpus * uint64(n),
	}
}
