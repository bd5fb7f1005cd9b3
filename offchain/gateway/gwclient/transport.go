package gwclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Transport is http.DefaultTransport, or with a configuration one that uses it. What a server has against the client's certificate is told, which HTTP/2 would keep to itself.
func Transport(config *tls.Config) http.RoundTripper {
	if config == nil {
		return telling{http.DefaultTransport, &tls.Config{MinVersion: tls.VersionTLS12}}
	}
	return telling{&http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
	}, config}
}

type telling struct {
	http.RoundTripper
	config *tls.Config
}

// lostInHTTP2 is all that net/http says if the server ends a connection before its first frame.
const lostInHTTP2 = "http2: client conn could not be established"

// RoundTrip implements http.RoundTripper.
func (t telling) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil && req.URL.Scheme == "https" && hides(err) {
		if why := t.refusal(req); why != nil {
			return nil, fmt.Errorf("the server ended the connection: %w", why)
		}
	}
	return resp, err
}

// hides tells whether an error may be what is left of a handshake that the server refused.
func hides(err error) bool {
	return strings.Contains(err.Error(), lostInHTTP2) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// CloseIdleConnections is that of the transport.
func (t telling) CloseIdleConnections() {
	(&http.Client{Transport: t.RoundTripper}).CloseIdleConnections()
}

// refusal connects once more and returns the alert that the server answers with: in TLS 1.3 it comes with the first read.
func (t telling) refusal(req *http.Request) error {
	port := req.URL.Port()
	if port == "" {
		port = "443"
	}
	config := t.config.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: 10 * time.Second}}).DialContext(req.Context(), "tcp", net.JoinHostPort(req.URL.Hostname(), port))
	var alert *net.OpError
	if err != nil {
		if errors.As(err, &alert) && alert.Op == "remote error" {
			return err
		}
		return nil
	}
	defer io.Closer(conn).Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil
	}
	if _, err = conn.Read(make([]byte, 1)); errors.As(err, &alert) && alert.Op == "remote error" {
		return err
	}
	return nil
}
