package secrets

import (
	"context"
	"errors"
	"fmt"
)

// maxGenerations is how many keys in a row FindGeneration reads.
const maxGenerations = 1000

// Generation is the name of the n-th key, from 1 on, that follows another in one use: NAME, NAME.2, NAME.3, …
func Generation(name string, n int) string {
	if n <= 1 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, n)
}

// FindGeneration returns the key that fits among the generations of a name, and which one it is. ErrNotFound if none does; n is then the
// first one that does not exist.
func FindGeneration(ctx context.Context, s Store, name string, fits func(Key) bool) (key Key, n int, err error) {
	for n = 1; n <= maxGenerations; n++ {
		key, err := AnyKey(ctx, s, Generation(name, n))
		if errors.Is(err, ErrNotFound) {
			return nil, n, fmt.Errorf("none of the %d keys from %q on fits: %w", n-1, name, ErrNotFound)
		}
		if err != nil {
			return nil, n, err
		}
		if fits(key) {
			return key, n, nil
		}
	}
	return nil, n, fmt.Errorf("none of the %d keys from %q on fits: %w", maxGenerations, name, ErrNotFound)
}
