package copies_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/registry/copies"
	"github.com/foggrid/fogd/offchain/registry/copies/copiestest"
)

func TestDir(t *testing.T) {
	copiestest.Run(t, func(t *testing.T) copies.Store {
		s, err := copies.Open(t.TempDir() + "/new")
		require.NoError(t, err)
		return s
	})
}

// bucket serves a bucket in memory and returns its address.
func bucket(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("grid"))
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return "s3://" + u.Host
}

func TestS3(t *testing.T) {
	for _, prefix := range []string{"", "/fog/registry"} {
		copiestest.Run(t, func(t *testing.T) copies.Store {
			s, err := copies.Open(bucket(t) + "/grid" + prefix + "?insecure=true&region=us-east-1")
			require.NoError(t, err)
			require.NotContains(t, s.Name(), "secret")
			return s
		})
	}
}

func TestS3Errors(t *testing.T) {
	at := bucket(t)
	s, err := copies.Open(at + "/other?insecure=true&region=us-east-1")
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "a")
	require.NotErrorIs(t, err, copies.ErrMissing, "a bucket that is not there holds no copies, which is no news about a key")
	require.ErrorContains(t, err, "make it first")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for address, want := range map[string]string{
		"":                        "empty",
		"ftp://host/x":            "not at ftp://",
		"s3://host":               "names no bucket",
		"s3:///bucket":            "names no bucket",
		"s3://id:secret@host/b":   "AWS_ACCESS_KEY_ID",
		"s3://host/b?colour=blue": `"colour" is not known`,
		"s3://host/b/../c":        "a key is names",
		"s3://%zz/b":              "address of a copy",
	} {
		_, err := copies.Open(address)
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, fmt.Sprint(err), "id:secret", address)
	}
}
