// Package oracle is the worker of one oracle operator: it follows the chain, answers the rounds that are open, and attests.
//
// The chain is the only state that counts. Everything here is worked out again from it after a restart: which rounds are open,
// which of them have this oracle's vote, what is pending. A report of an agent is acknowledged only when the vote that rests on
// it is on chain, so an agent repeats whatever a crash made the worker forget.
//
//	benchmark  measure the agent with challenges timed here, vote for the figures
//	liveness   ping every agent, vote for the nodes whose state differs from the chain's
//	matches    recompute the batch from the chain's state at the round's height, vote for its hash
//	           behind the vote, count what it offered to the nodes whose agents ask, and tell them
//	outcome    take the agent's signed report, check the result in the registry, vote for the outcome;
//	           of a node on Nomad: have the attempt run there and report it oneself (package nomaddesk)
package oracle
