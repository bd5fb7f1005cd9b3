package gwclient_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/mtls/mtlstest"
)

// A door that demands certificates says what is wrong with ours, in each version of TLS and HTTP, and the error says it too.
func TestTransportTellsWhyItWasRefused(t *testing.T) {
	ours, other := mtlstest.New(t), mtlstest.New(t)
	holder, verifier := &mtls.Holder{}, mtls.NewVerifier(time.Now)
	holder.Set(ours.Issue(nil))
	verifier.Set(ours.Trust(22))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: holder.Server(verifier), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(lis, "", "") }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	get := func(most uint16, pair *tls.Certificate) error {
		mine := &mtls.Holder{}
		if pair != nil {
			mine.Set(*pair)
		}
		config := mine.Client(ours.Pool())
		config.MaxVersion = most
		c := &http.Client{Transport: gwclient.Transport(config)}
		defer c.CloseIdleConnections()
		resp, err := c.Get("https://" + lis.Addr().String() + "/")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	good, revoked, foreign := ours.Node(21, "node1x"), ours.Node(22, "node1y"), other.Node(21, "node1x")
	for _, most := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		require.NoError(t, get(most, &good))
		require.ErrorContains(t, get(most, nil), "remote error: tls: ")
		require.ErrorContains(t, get(most, &revoked), "remote error: tls: ")
		require.ErrorContains(t, get(most, &foreign), "remote error: tls: ")
	}
	require.ErrorContains(t, get(tls.VersionTLS13, nil), "certificate required")
}
