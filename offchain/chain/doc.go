// Package chain is the typed client of the chain: the only door through which off-chain code queries it, sends it
// transactions and follows its blocks.
//
// A Client talks to one node over gRPC (queries, transactions) and CometBFT RPC (blocks). Queries go through a
// grpc.ClientConnInterface, so that the modules' generated clients work as they are:
//
//	nodestypes.NewQueryClient(client.Latest())
//	jobstypes.NewQueryClient(client.AtHeight(h))
//
// A Broadcaster signs with one key and sends one transaction at a time until it is in a block. It keeps no sequence of
// its own: it reads the account before each transaction, so that a restart, a second process with the same key or a
// transaction that the mempool forgot needs no repair. Signed bytes are sent again until they are in a block or can no
// longer be, so a lost answer never makes a transaction run twice.
//
// Client.Follow delivers every block once and in order, and only when the node answers queries at its height.
//
// Errors are values: *QueryError for queries, *TxError for transactions, which errors.Is compares with the errors that
// the modules register. Nothing here reads the text of an error.
package chain
