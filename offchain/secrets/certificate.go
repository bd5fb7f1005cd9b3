package secrets

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"
)

// Certifier signs certificates: an Issuer, or a gateway that has one.
type Certifier interface {
	Issue(ctx context.Context, r CertificateRequest) ([]*x509.Certificate, error)
}

// KeepCertificate has use told of a certificate, and of the next one at two thirds of each one's life, until ctx ends. An authority that cannot
// be reached is asked again and again; what it refuses, and an error of use, end it. The request is the same each time, so the key stays.
func KeepCertificate(ctx context.Context, from Certifier, r CertificateRequest, log *slog.Logger, use func([]*x509.Certificate) error) error {
	log = log.With("identity", r.Identity)
	for {
		var chain []*x509.Certificate
		if err := Await(ctx, log, func() (err error) {
			chain, err = from.Issue(ctx, r)
			return err
		}); err != nil {
			return fmt.Errorf("certificate of %s: %w", r.Identity, err)
		}
		if err := use(chain); err != nil {
			return fmt.Errorf("use the new certificate of %s: %w", r.Identity, err)
		}
		wait := time.Until(chain[0].NotAfter) * 2 / 3
		log.Info("the certificate is new", "until", chain[0].NotAfter.UTC().Format(time.RFC3339), "next_in", wait.Round(time.Second))
		if err := sleep(ctx, max(wait, keepPause), nil); err != nil {
			return err
		}
	}
}
