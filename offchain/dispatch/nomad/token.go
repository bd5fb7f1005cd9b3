package nomad

import (
	"net/http"
	"time"

	"github.com/hashicorp/nomad/api"
)

// headerToken carries the ACL token of a request.
const headerToken = "X-Nomad-Token"

// leasedClient is an HTTP client whose requests carry the token of the moment. A stream that runs keeps its connection when the token is
// replaced; if Nomad ends it with the old token, the region connects again where it was.
func leasedClient(tls *api.TLSConfig, token func() string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 10 * time.Second
	c := &http.Client{Transport: transport}
	if err := api.ConfigureTLS(c, tls); err != nil {
		return nil, err
	}
	c.Transport = tokenTransport{c.Transport, token}
	return c, nil
}

type tokenTransport struct {
	next  http.RoundTripper
	token func() string
}

// RoundTrip implements http.RoundTripper.
func (t tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if token := t.token(); token != "" {
		r = r.Clone(r.Context())
		r.Header.Set(headerToken, token)
	}
	return t.next.RoundTrip(r)
}
