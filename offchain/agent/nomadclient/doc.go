// Package nomadclient runs the Nomad client of a provider's machine beside its agent: it writes the client's configuration, starts it, starts it again if
// it ends, stops it with the agent, and drains it while the node drains on chain. It needs the nomad program and nothing of its API.
//
// What runs on the client goes on when it is stopped: a client that comes back takes its containers up again.
package nomadclient
