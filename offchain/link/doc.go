// Package link is the stream between an agent and an oracle (proto/fog/agent/v1).
//
// Agents dial out, so a machine behind NAT can serve. Both sides prove an ed25519 key in TLS 1.3 with self-signed
// certificates that they mint in memory: the agent expects the transport key that the chain holds for the oracle, the oracle looks up
// which node has the agent's key (Registry). There is no certificate authority.
//
// Over the stream the oracle pings (the agent signs a fresh nonce), carries out challenges (offchain/challenge) on its own
// clock, receives signed reports of finished slices, and says, to an agent that asks, what the matching offered to its node. A
// report is sent again until it is acknowledged, so its handler sees it at least once. A peer that breaks the protocol, floods, or
// answers twice is dropped with a reason.
//
// Beside the agents, a server answers the owners of jobs (Watcher): it shows them their running tasks, which it has the agents show to it.
package link
