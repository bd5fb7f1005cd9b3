package selftest

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link"
)

// oracleID and bootID are names for the one link of a selftest.
const (
	oracleID = "selftest"
	bootID   = "5e1f7e575e1f7e57"
)

// agentSpec is what an agent's process reads.
type agentSpec struct {
	Node      string           `json:"node"`
	Endpoint  string           `json:"endpoint"`
	OracleKey string           `json:"oracle_key"`
	Seed      string           `json:"seed"`
	Limits    challenge.Limits `json:"limits"`
}

// Serve is an agent's process: it reads who it is, and answers challenges until the context or the input ends.
func Serve(ctx context.Context, in io.Reader) error {
	var spec agentSpec
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("read what this agent is; it is started by `fog agent selftest`: %w", err)
	}
	key, err := hex.DecodeString(spec.OracleKey)
	if err != nil {
		return fmt.Errorf("oracle_key: %w", err)
	}
	seed, err := hex.DecodeString(spec.Seed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return fmt.Errorf("seed must be %d bytes in hex", ed25519.SeedSize)
	}
	client, err := link.NewClient(link.ClientOptions{
		OracleID: oracleID, Endpoint: spec.Endpoint, OracleKey: key, Key: ed25519.NewKeyFromSeed(seed),
		Hello: link.Hello{NodeID: spec.Node, BootID: bootID, Version: "selftest"}, Slot: challenge.NewSlot(), Limits: spec.Limits,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, err := io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), in))
		cancel(errors.Join(errors.New("whoever started this agent has gone"), err))
	}()
	if err := client.Run(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// registry knows the agents of a selftest by key.
type registry map[string]string

// NodeByAgentKey implements link.Registry.
func (r registry) NodeByAgentKey(_ context.Context, key ed25519.PublicKey) (string, bool, error) {
	node, ok := r[string(key)]
	return node, ok, nil
}
