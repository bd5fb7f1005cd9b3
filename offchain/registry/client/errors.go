package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
)

var (
	// ErrNotFound says that the registry has no such repository, manifest or blob.
	ErrNotFound = errors.New("not found in the registry")
	// ErrDigestMismatch says that content does not have the digest or size that was asked for; it must not be used.
	ErrDigestMismatch = artifact.ErrDigestMismatch
	// ErrDenied says that the registry refuses this client.
	ErrDenied = errors.New("the registry denies access")
	// ErrTooLarge says that content is over a limit, the registry's or the caller's.
	ErrTooLarge = errors.New("content is too large")
	// ErrNotArtifact says that a manifest is not of the shape or type that the caller expects.
	ErrNotArtifact = errors.New("not the expected artifact")
)

// StatusError is an answer of the registry that is not a success.
type StatusError struct {
	Method string
	URL    string
	Status int
	// Detail is what the registry says in its body, if it does.
	Detail string
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("registry answered %d %s to %s %s", e.Status, http.StatusText(e.Status), e.Method, e.URL)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is matches the sentinel of the status.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == ErrDenied
	case http.StatusRequestEntityTooLarge:
		return target == ErrTooLarge
	}
	return false
}

// temporary says whether the same request may succeed later.
func (e *StatusError) temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// statusError reads the registry's explanation.
func statusError(resp *http.Response) error {
	e := &StatusError{Method: resp.Request.Method, URL: resp.Request.URL.Redacted(), Status: resp.StatusCode}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return e
	}
	var body struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(data, &body) != nil {
		return e
	}
	var parts []string
	for _, item := range body.Errors {
		parts = append(parts, item.Code+": "+item.Message)
	}
	e.Detail = strings.Join(parts, "; ")
	return e
}
