package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Why Vault gave no answer.
var (
	errSealed = errors.New("the server is sealed or a standby without a leader")
	errBusy   = errors.New("the server cannot answer now")
	errSlow   = errors.New("the server does not answer in time")
	errReach  = errors.New("the server is out of reach")
)

// causes are the names of these in metrics.
var causes = map[string]error{"sealed": errSealed, "busy": errBusy, "slow": errSlow, "out_of_reach": errReach}

// explain makes an error of the client one of the project's, which says whether waiting helps.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		err = Brief(err)
		switch code := answer.StatusCode; {
		case code == http.StatusServiceUnavailable:
			return fmt.Errorf("vault: %s: %w: %w; unseal it: %w", doing, secrets.ErrUnavailable, errSealed, err)
		case code >= 500, code == http.StatusTooManyRequests, code == 472, code == 473:
			return fmt.Errorf("vault: %s: %w: %w: %w", doing, secrets.ErrUnavailable, errBusy, err)
		case code == http.StatusForbidden:
			return fmt.Errorf("vault: %s: %w; see its policy with `fog vault plan`: %w", doing, secrets.ErrDenied, err)
		case code == http.StatusNotFound:
			return fmt.Errorf("vault: %s: %w: %w", doing, secrets.ErrNotFound, err)
		}
		return fmt.Errorf("vault: %s: %w", doing, err)
	}
	switch {
	case errors.Is(err, api.ErrSecretNotFound):
		return fmt.Errorf("vault: %s: %w", doing, secrets.ErrNotFound)
	case errors.Is(err, context.Canceled), isOurs(err):
		return fmt.Errorf("vault: %s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("vault: %s: %w: %w: %w", doing, secrets.ErrUnavailable, errSlow, err)
	case isNetwork(err):
		return fmt.Errorf("vault: %s: %w: %w: %w", doing, secrets.ErrUnavailable, errReach, err)
	}
	return fmt.Errorf("vault: %s: %w", doing, err)
}

func isOurs(err error) bool {
	for _, ours := range []error{secrets.ErrUnavailable, secrets.ErrNotFound, secrets.ErrDenied, secrets.ErrExists, secrets.ErrLeaseEnded} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, new(*url.Error)) || errors.As(err, &network)
}

// Brief makes an answer of Vault, which the client writes on several lines, one of one line. Other errors are left as they are.
func Brief(err error) error {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	text := strings.Join(strings.Fields(strings.Join(answer.Errors, "; ")), " ")
	if text == "" {
		text = strings.ToLower(http.StatusText(answer.StatusCode))
	}
	return &briefError{err, strings.Replace(err.Error(), answer.Error(), fmt.Sprintf("%d %s", answer.StatusCode, text), 1)}
}

type briefError struct {
	error
	text string
}

func (e *briefError) Error() string { return e.text }
func (e *briefError) Unwrap() error { return e.error }
