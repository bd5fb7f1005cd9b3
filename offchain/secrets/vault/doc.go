// Package vault keeps secrets in HashiCorp Vault, or in OpenBao, which has the same API:
//
//	KV v2    fog/data/ROLE/NAME/keys|transport|values/…   keys of accounts, keys of links, values
//	Transit  fog-transit/ROLE/NAME/keys/…                 keys that sign there and never leave
//	PKI      fog-pki/sign/agent and /ROLE.NAME            certificates of agents, and of this server
//	leases   such as fog-nomad/creds/dispatcher           credentials on loan
//
// ROLE (oracle, agent, gateway or dispatcher) and NAME say who the program is; its policy in deploy/vault lets it have these paths and
// nothing else. It logs in by AppRole, TLS certificate or JWT. The token is a service token: a LifetimeWatcher renews it, and a new login
// takes its place whenever it ends. A key, once read, is held in memory, so that a Vault that is sealed or out of reach stops nothing that
// runs; what needs it meanwhile is secrets.ErrUnavailable, with the reason.
package vault
