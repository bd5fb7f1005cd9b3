package runner

import (
	"context"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch/inside"
)

// measureEvery is how often it is written down what the container takes.
const measureEvery = 2 * time.Second

// measure writes down what the container takes until ctx ends. Figures that cannot be had are only missing.
func measure(ctx context.Context, dir string) {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		if used, err := inside.Measure("/"); err == nil {
			write(filepath.Join(dir, UsageFile), used) //nolint:errcheck // the next one may be written
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
