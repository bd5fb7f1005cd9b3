//go:build !linux && !darwin

package challenge

import "os"

// openUncached is an ordinary open: reads may come from the system's cache.
func openUncached(path string) (*os.File, error) {
	return os.Open(path)
}
