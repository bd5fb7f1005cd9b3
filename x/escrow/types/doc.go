// Package types holds the records, messages and rules of x/escrow that need no state.
package types
