package secrets

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// office issues certificates that hold no more than a number and a time.
type office struct {
	issued int64
	closed func() bool
	refuse error
}

func (o *office) Issue(_ context.Context, r CertificateRequest) ([]*x509.Certificate, error) {
	if o.closed() {
		return nil, ErrUnavailable
	}
	if o.refuse != nil {
		return nil, o.refuse
	}
	o.issued++
	return []*x509.Certificate{{SerialNumber: big.NewInt(o.issued), NotAfter: time.Now().Add(r.Kind.Life())}}, nil
}

func (o *office) Revoke(context.Context, *big.Int) error { return nil }

func (o *office) Trust(context.Context) (Trust, error) { return Trust{}, nil }

func TestKeepCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		outage := func() bool { // 23 of the 24 hours that the first certificate has left when it should be replaced
			since := time.Since(start)
			return since >= 48*time.Hour && since < 71*time.Hour
		}
		var last atomic.Pointer[x509.Certificate]
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- KeepCertificate(ctx, &office{closed: outage}, CertificateRequest{Kind: ServerCertificate}, slog.New(slog.DiscardHandler),
				func(chain []*x509.Certificate) error {
					last.Store(chain[0])
					return nil
				})
		}()
		for range 30 * 24 {
			synctest.Wait()
			require.NotNil(t, last.Load())
			require.True(t, time.Now().Before(last.Load().NotAfter), "there is always one that is valid")
			time.Sleep(time.Hour)
		}
		require.InDelta(t, 15, last.Load().SerialNumber.Int64(), 1, "a new one each 48 hours")
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestKeepCertificateEnds(t *testing.T) {
	quiet, open := slog.New(slog.DiscardHandler), func() bool { return false }
	refused := errors.New("refused")
	err := KeepCertificate(t.Context(), &office{closed: open, refuse: refused}, CertificateRequest{}, quiet, nil)
	require.ErrorIs(t, err, refused)
	full := errors.New("disk full")
	err = KeepCertificate(t.Context(), &office{closed: open}, CertificateRequest{}, quiet, func([]*x509.Certificate) error { return full })
	require.ErrorIs(t, err, full)
}
