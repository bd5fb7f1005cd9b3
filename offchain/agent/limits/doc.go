// Package limits keeps a machine to what its owner lends: it announces the hours in which the machine does not work, and has the node drain while
// somebody uses the machine. Both are said on chain, with a key that the owner let, before anything changes: work that the node has goes on, and the
// chain gives it no more. What cannot be said, for want of that right, is told to the owner as a command.
package limits
