package registry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

// While what one owner holds is measured, others push.
func TestOwnersDoNotWaitForEachOther(t *testing.T) {
	quota := func(repo string) (Quota, bool, error) {
		owner, _, _ := strings.Cut(repo, "/")
		return Quota{Below: owner, Bytes: 1000}, true, nil
	}
	r, err := Open(t.TempDir(), Options{Quota: quota})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	lock := r.quotaLock(Quota{Below: "x"})
	require.NotSame(t, lock, r.quotaLock(Quota{Below: "y"}), "names that do not share a lock by chance")
	lock.Lock()
	defer lock.Unlock()
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/v2/y/app/blobs/uploads/?digest="+artifact.DigestOf([]byte("a")).String(), strings.NewReader("a")))
	require.Equal(t, http.StatusCreated, answer.Code)
}
