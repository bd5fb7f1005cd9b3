package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := slog.New(slog.DiscardHandler)
		start := time.Now()
		sealed := func() error {
			if time.Since(start) < 10*time.Minute {
				return fmt.Errorf("read: %w", ErrUnavailable)
			}
			return nil
		}
		require.NoError(t, Await(t.Context(), quiet, sealed))
		broken := errors.New("broken")
		require.ErrorIs(t, Await(t.Context(), quiet, func() error { return broken }), broken)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, Await(ctx, quiet, func() error { return ErrUnavailable }), context.DeadlineExceeded)
	})
}
