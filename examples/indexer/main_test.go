package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// node answers like a node's RPC at a height that tests raise; it fails each third time.
type node struct{ height, asked atomic.Int64 }

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.asked.Add(1)%3 == 0 {
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"Internal error","data":"busy"}}`)
		return
	}
	if r.URL.Path == "/status" {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":-1,"result":{"sync_info":{"latest_block_height":"%d","earliest_block_height":"2"}}}`, n.height.Load())
		return
	}
	h := r.FormValue("height")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":-1,"result":{"height":"%[1]s","txs_results":[
		{"code":0,"events":[{"type":"tx","attributes":[{"key":"fee","value":"1ufog"}]},
			{"type":"fog.jobs.v1.EventJobSubmitted","attributes":[{"key":"job_id","value":"\"job1h%[1]s\"","index":true},{"key":"tasks","value":"8"}]}]},
		{"code":5,"events":[{"type":"fog.jobs.v1.EventJobSubmitted","attributes":[]}]}],
		"finalize_block_events":[{"type":"fog.nodes.v1.EventStatus","attributes":[{"key":"node_id","value":"\"node1a\""}]}]}}`, h)
}

func TestFollower(t *testing.T) {
	n := &node{}
	n.height.Store(4)
	server := httptest.NewServer(n)
	defer server.Close()
	ix := newIndex(100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	f := &follower{node: server.URL, index: ix, client: server.Client(), pause: time.Millisecond, back: 1000}
	go func() { ended <- f.run(ctx) }()
	get := func(path string) (code int, events []event) {
		w := httptest.NewRecorder()
		ix.handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code == 200 && path != "/health" {
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &events))
		}
		return w.Code, events
	}
	reached := func(events int) func() bool {
		return func() bool { _, all := get("/events"); return len(all) == events }
	}
	require.Eventually(t, reached(6), 20*time.Second, time.Millisecond, "blocks 2 to 4")
	n.height.Store(5)
	require.Eventually(t, reached(8), 20*time.Second, time.Millisecond)

	_, jobs := get("/events?value=job1h3")
	require.Equal(t, []event{{ID: 3, Height: 3, Type: "fog.jobs.v1.EventJobSubmitted", Fields: map[string]string{"job_id": "job1h3", "tasks": "8"}}}, jobs)
	_, nodes := get("/events?type=fog.nodes.v1.EventStatus&after=4")
	require.Len(t, nodes, 2)
	code, _ := get("/events?after=x")
	require.Equal(t, http.StatusBadRequest, code)
	code, _ = get("/health")
	require.Equal(t, http.StatusOK, code)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestIndexIsBounded(t *testing.T) {
	ix := newIndex(3)
	w := httptest.NewRecorder()
	ix.handler().ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	for h := range int64(10) {
		ix.add(h, []event{{Type: "fog.x"}})
	}
	found := ix.find(0, "", "", 2)
	require.Len(t, found, 2)
	require.EqualValues(t, 8, found[0].ID)
}
