package nomaddesk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	oracles = 4
	quorum  = 3
)

// court is the world's chain with its outcome rounds, for oracles in other processes. A slice is paid when a quorum has voted for one claim.
type court struct {
	*world
	url string

	votes sync.Mutex
	cast  map[dispatch.AttemptID]map[int]string
	paid  map[dispatch.AttemptID]int
	fault []string // what must never happen
}

func newCourt(t *testing.T) *court {
	c := &court{world: newWorld(t), cast: map[dispatch.AttemptID]map[int]string{}, paid: map[dispatch.AttemptID]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /job", func(w http.ResponseWriter, r *http.Request) { answer(w)(c.Job(r.Context(), r.FormValue("id"))) })
	mux.HandleFunc("GET /slice", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(c.Slice(r.Context(), r.FormValue("job"), number(r, "number")))
	})
	mux.HandleFunc("GET /node", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(c.NodeAt(r.Context(), r.FormValue("id"), int64(number(r, "height"))))
	})
	mux.HandleFunc("GET /open", func(w http.ResponseWriter, r *http.Request) { answer(w)(c.open(int(number(r, "oracle"))), nil) })
	mux.HandleFunc("POST /vote", func(w http.ResponseWriter, r *http.Request) {
		var report link.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.vote(int(number(r, "oracle")), report)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func number(r *http.Request, name string) uint32 {
	n, err := strconv.ParseUint(r.FormValue(name), 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func answer(w http.ResponseWriter) func(any, error) {
	return func(v any, err error) {
		if errors.Is(err, chain.ErrNotFound) {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			return // the oracle was killed
		}
	}
}

// open lists the slices that wait for an oracle's vote.
func (c *court) open(oracle int) []jobstypes.Slice {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.votes.Lock()
	defer c.votes.Unlock()
	list := []jobstypes.Slice{}
	for _, s := range c.slices {
		if _, voted := c.cast[handover.ID(s)][oracle]; s.Status == jobstypes.SLICE_STATUS_MATCHED && !voted {
			list = append(list, s)
		}
	}
	return list
}

// vote takes an oracle's first word of an attempt.
func (c *court) vote(oracle int, r link.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.votes.Lock()
	defer c.votes.Unlock()
	id := dispatch.AttemptID{Job: r.JobID, Slice: r.Slice, Attempt: r.Attempt}
	key := dispatch.AttemptID{Job: r.JobID, Slice: r.Slice}
	s := c.slices[key]
	if c.cast[id] == nil {
		c.cast[id] = map[int]string{}
	}
	if _, twice := c.cast[id][oracle]; twice {
		return
	}
	claim := fmt.Sprintf("%x", r.ResultRoot)
	for _, t := range r.Tasks {
		claim += fmt.Sprintf(" %d/%d", t.Reason, t.ExitCode)
		if t.Reason != link.ReasonNone {
			c.fault = append(c.fault, fmt.Sprintf("oracle %d says that task %d of %s ended with %d", oracle, t.Task, id, t.Reason))
		}
	}
	c.cast[id][oracle] = claim
	same := 0
	for _, other := range c.cast[id] {
		if other == claim {
			same++
		}
	}
	if same == quorum && s.Status == jobstypes.SLICE_STATUS_MATCHED {
		c.paid[id]++
		s.Status, s.Outcome = jobstypes.SLICE_STATUS_REPORTED, &jobstypes.Outcome{}
		c.slices[key] = s
	}
}

// settled is how many attempts were paid.
func (c *court) settled() int {
	c.votes.Lock()
	defer c.votes.Unlock()
	return len(c.paid)
}

// remote is the court as an oracle in another process sees it.
type remote struct{ url string }

var _ Chain = remote{}

func (r remote) get(ctx context.Context, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return chain.ErrNotFound
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (r remote) Job(ctx context.Context, id string) (j jobstypes.Job, err error) {
	return j, r.get(ctx, "/job", url.Values{"id": {id}}, &j)
}

func (r remote) Slice(ctx context.Context, job string, number uint32) (s jobstypes.Slice, err error) {
	return s, r.get(ctx, "/slice", url.Values{"job": {job}, "number": {fmt.Sprint(number)}}, &s)
}

func (r remote) NodeAt(ctx context.Context, id string, height int64) (n nodestypes.Node, err error) {
	return n, r.get(ctx, "/node", url.Values{"id": {id}, "height": {fmt.Sprint(height)}}, &n)
}

func (r remote) OnNode(context.Context, string) (Holding, error) {
	return Holding{}, errors.New("there are no volumes in this court")
}

func (r remote) open(ctx context.Context, oracle int) (list []jobstypes.Slice, err error) {
	return list, r.get(ctx, "/open", url.Values{"oracle": {strconv.Itoa(oracle)}}, &list)
}

func (r remote) vote(ctx context.Context, oracle int, report link.Report) error {
	raw, err := json.Marshal(report)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/vote?oracle=%d", r.url, oracle), bytes.NewReader(raw))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// TestRemoteCourt: what an oracle in another process reads is what the world has.
func TestRemoteCourt(t *testing.T) {
	c := newCourt(t)
	job := c.job("job1x", 1, "report")
	s := c.match(job, 3, 0, 1)
	r := remote{c.url}
	gotJob, err := r.Job(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, job, gotJob)
	gotSlice, err := r.Slice(t.Context(), job.Id, 3)
	require.NoError(t, err)
	require.Equal(t, s, gotSlice)
	_, err = r.Slice(t.Context(), job.Id, 4)
	require.ErrorIs(t, err, chain.ErrNotFound)
	open, err := r.open(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []jobstypes.Slice{s}, open)
}
