//go:build !linux && !darwin

package direct

// reserve takes memory from the Go heap where there is no portable way to reserve address space.
func reserve(size int) ([]byte, error) { return make([]byte, size), nil }

func release([]byte) error { return nil }
