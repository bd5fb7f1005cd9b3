// Command indexer follows a fogd chain and answers which of its events there were, by kind and by what they name.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	node := os.Getenv("FOGD_RPC")
	if node == "" {
		log.Fatal("follow which chain? set FOGD_RPC, such as http://203.0.113.7:26657")
	}
	ix := newIndex(20_000)
	server := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), Handler: ix.handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- server.ListenAndServe() }()
	f := &follower{node: node, index: ix, client: &http.Client{Timeout: 10 * time.Second}, pause: time.Second, back: 1000}
	go func() { ended <- f.run(ctx) }()
	log.Printf("following %s, serving on %s", node, server.Addr) //nolint:gosec // its own settings
	select {
	case err := <-ended:
		if ctx.Err() == nil {
			log.Fatal(err)
		}
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
}

// follower reads one block after the other from a node's RPC.
type follower struct {
	node   string
	index  *index
	client *http.Client
	pause  time.Duration // when there is no new block, or no answer
	back   int64         // how many blocks before the newest to begin at
}

func (f *follower) run(ctx context.Context) error {
	for next := int64(0); ; {
		newest, earliest, err := f.heights(ctx)
		if err == nil && next == 0 {
			next = max(earliest, newest-f.back, 1)
		}
		for err == nil && next <= newest {
			var events []event
			if events, err = f.block(ctx, next); err == nil {
				f.index.add(next, events)
				next++
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Print("trying again: ", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(f.pause):
		}
	}
}

const maxAnswer = 64 << 20

func (f *follower) ask(ctx context.Context, path string, result any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.node+path, nil)
	if err != nil {
		return err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message, Data string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s: %s", path, answer.Error.Message, answer.Error.Data)
	}
	return json.Unmarshal(answer.Result, result)
}

func (f *follower) heights(ctx context.Context) (newest, earliest int64, err error) {
	var status struct {
		SyncInfo struct {
			Latest   string `json:"latest_block_height"`
			Earliest string `json:"earliest_block_height"`
		} `json:"sync_info"`
	}
	if err := f.ask(ctx, "/status", &status); err != nil {
		return 0, 0, err
	}
	if newest, err = strconv.ParseInt(status.SyncInfo.Latest, 10, 64); err != nil {
		return 0, 0, err
	}
	earliest, err = strconv.ParseInt(status.SyncInfo.Earliest, 10, 64)
	return newest, earliest, err
}

// rpcEvent is an event as the node's RPC writes it.
type rpcEvent struct {
	Type       string
	Attributes []struct{ Key, Value string }
}

// block reads the chain's own events of one block: those of transactions that were executed, and those of the block itself.
func (f *follower) block(ctx context.Context, height int64) ([]event, error) {
	var block struct {
		Txs []struct {
			Code   uint32
			Events []rpcEvent
		} `json:"txs_results"`
		Events []rpcEvent `json:"finalize_block_events"`
	}
	if err := f.ask(ctx, "/block_results?height="+strconv.FormatInt(height, 10), &block); err != nil {
		return nil, err
	}
	var events []event
	for _, tx := range block.Txs {
		if tx.Code == 0 {
			events = append(events, chosen(height, tx.Events)...)
		}
	}
	return append(events, chosen(height, block.Events)...), nil
}
