package gwclient_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var nodeID = nodestypes.NodeID([]byte("owner"), "salt").Bech32(nodestypes.NodeHRP)

type oneNode struct {
	*nodestypes.UnimplementedQueryServer
	key    ed25519.PublicKey
	status nodestypes.NodeStatus
}

func (s oneNode) Node(context.Context, *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	return &nodestypes.QueryNodeResponse{Node: nodestypes.Node{Id: nodeID, AgentKey: s.key, Status: s.status}}, nil
}

// still is a chain without new blocks.
type still struct{}

func (still) Height(context.Context) (int64, error) { return 1, nil }

func (still) Follow(ctx context.Context, _ int64, _ func(context.Context, chain.Block) error) error {
	<-ctx.Done()
	return ctx.Err()
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// enroller is a gateway that gives the node certificates.
func enroller(t *testing.T, n oneNode) *gwclient.Client {
	t.Helper()
	node := chaintest.Start(t, func(s *grpc.Server) { nodestypes.RegisterQueryServer(s, n) })
	authority, err := file.Open(t.TempDir()+"/secrets", file.Test, nil)
	require.NoError(t, err)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + lis.Addr().String()
	s, err := gateway.New(t.Context(), gateway.Config{
		Dir: t.TempDir(), URL: url, Chain: node.Client(), RegistryDir: t.TempDir(), Authority: authority, Blocks: still{}, Log: silent,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.NoError(t, s.Close())
	})
	c, err := gwclient.New(url, nil)
	require.NoError(t, err)
	return c
}

func TestEnrolment(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	c := enroller(t, oneNode{key: public, status: nodestypes.NODE_STATUS_ACTIVE})
	ctx, cancel := context.WithCancel(t.Context())
	var got []*x509.Certificate
	err = secrets.KeepCertificate(ctx, c.Enrolment(nodeID, key), secrets.CertificateRequest{}, silent, func(chain []*x509.Certificate) error {
		got = chain
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "fog://node/"+nodeID, got[0].URIs[0].String())
	require.WithinDuration(t, time.Now().Add(24*time.Hour), got[0].NotAfter, time.Hour)

	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, err = c.Enrolment(nodeID, stranger).Issue(t.Context(), secrets.CertificateRequest{})
	require.ErrorContains(t, err, "not by the key of this node")
	require.NotErrorIs(t, err, secrets.ErrUnavailable, "asking again would not help")

	jailed := enroller(t, oneNode{key: public, status: nodestypes.NODE_STATUS_JAILED})
	_, err = jailed.Enrolment(nodeID, key).Issue(t.Context(), secrets.CertificateRequest{})
	require.ErrorContains(t, err, "JAILED")
}

// A gateway that is away or busy is asked again.
func TestEnrolmentWaitsForTheGateway(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	c, err := gwclient.New(srv.URL, nil)
	require.NoError(t, err)
	_, err = c.Enrolment(nodeID, key).Issue(t.Context(), secrets.CertificateRequest{})
	require.ErrorIs(t, err, secrets.ErrUnavailable)
	srv.Close()
	_, err = c.Enrolment(nodeID, key).Issue(t.Context(), secrets.CertificateRequest{})
	require.ErrorIs(t, err, secrets.ErrUnavailable)
}
