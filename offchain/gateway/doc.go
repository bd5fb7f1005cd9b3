// Package gateway is the HTTP door of a grid for its people and machines: who they are, what they may, and what they did.
//
// A request goes through the same steps whatever it asks for: the address it comes from has a rate; its token, if it shows one, is known
// or not, and has a rate; the resource has an owner, which the chain names; policies (package access) permit or do not; the answer
// goes into the audit log before anything is done. What a stranger may not have is answered alike whether it is there or not.
//
// People log in by a signature of their wallet over a challenge (ADR-036), nodes by one of their link key; what they get is a short
// token. Wallets make longer ones for machines and CI. All are kept as hashes, and checked at every request, so that revoking one, or
// taking a role away, holds from the next request on. For registries the gateway issues tokens of their own kind that live five
// minutes (package registry/auth), for what the chain says now.
package gateway
