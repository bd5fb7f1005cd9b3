package secrets

import (
	"context"
	"errors"
	"log/slog"
)

// Await repeats what fails because the store cannot be reached, until it can: for workers, which then start late instead of never.
func Await(ctx context.Context, log *slog.Logger, do func() error) error {
	for pause := keepPause; ; pause = min(2*pause, keepMaxPause) {
		err := do()
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		log.Warn("waiting for the secrets", "error", err, "pause", pause)
		if err := sleep(ctx, pause, nil); err != nil {
			return err
		}
	}
}
