package gwclient_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
)

type signer struct {
	*secp256k1.PrivKey
	signed int
}

func (s *signer) PubKey() cryptotypes.PubKey { return s.PrivKey.PubKey() }

func (s *signer) Sign(msg []byte) ([]byte, error) {
	s.signed++
	return s.PrivKey.Sign(msg)
}

// dishonest is a server that speaks like a gateway; the real one is tested with this client in cmd/fog.
type dishonest struct {
	mu     sync.Mutex
	domain string
	logins int
	refuse bool
	life   time.Duration
}

func (d *dishonest) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	reply := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(err)
		}
	}
	switch req.URL.Path {
	case "/v1/login/challenge":
		domain := d.domain
		if domain == "" {
			domain = req.Host
		}
		reply(gateway.Challenge{Challenge: "fog gateway login\n\ndomain: " + domain + "\nrest"})
	case "/v1/login":
		d.logins++
		reply(gateway.Issued{Secret: strings.Repeat("s", d.logins), Token: credential.Token{Expires: time.Now().Add(d.life)}})
	case "/registry/token":
		if d.refuse {
			d.refuse = false
			w.WriteHeader(http.StatusUnauthorized)
			reply(map[string]any{"error": map[string]string{"code": "unauthorized", "detail": "revoked"}})
			return
		}
		reply(gateway.RegistryToken{Token: req.Header.Get("Authorization"), ExpiresIn: 300})
	default:
		http.Redirect(w, req, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
	}
}

func start(t *testing.T, d *dishonest) *gwclient.Client {
	t.Helper()
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	c, err := gwclient.New(srv.URL, nil)
	require.NoError(t, err)
	return c
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range []string{"", "x", "ftp://x", "http://gateway.example", "http://10.0.0.1:80", "https://x?y=z"} {
		_, err := gwclient.New(bad, nil)
		require.Error(t, err, bad)
	}
	for _, good := range []string{"https://gateway.example", "http://localhost:1", "http://127.0.0.2:80", "http://[::1]:80"} {
		_, err := gwclient.New(good, nil)
		require.NoError(t, err, good)
	}
}

// A gateway that hands on another's challenge gets no signature.
func TestNothingIsSignedForAnotherDomain(t *testing.T) {
	for _, domain := range []string{"bank.example", "x\ndomain: y"} {
		s := &signer{PrivKey: secp256k1.GenPrivKey()}
		_, err := start(t, &dishonest{domain: domain}).Login(context.Background(), s, nil)
		require.ErrorContains(t, err, "nothing was signed")
		require.Zero(t, s.signed)
	}
}

func TestTokensLogInAsOftenAsNeeded(t *testing.T) {
	d := &dishonest{life: time.Hour}
	source := start(t, d).OfWallet(&signer{PrivKey: secp256k1.GenPrivKey()}, nil)
	get := func() string {
		token, _, err := source.RegistryToken(t.Context(), "s", []string{"repository:a:pull"})
		require.NoError(t, err)
		return token
	}
	require.Equal(t, "Bearer s", get())
	require.Equal(t, "Bearer s", get())
	d.mu.Lock()
	d.refuse = true // as after a restart without its store, or a revocation
	d.mu.Unlock()
	require.Equal(t, "Bearer ss", get())

	short := &dishonest{}
	source = start(t, short).OfWallet(&signer{PrivKey: secp256k1.GenPrivKey()}, nil)
	require.Equal(t, "Bearer s", get())
	require.Equal(t, "Bearer ss", get())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	err := start(t, &dishonest{}).Call(t.Context(), "secret", http.MethodGet, "/v1/nodes", nil, nil)
	var refused *gwclient.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusTemporaryRedirect, refused.Status)
}
