// Package types holds the messages, records and rules of x/nodes that need no state.
package types
