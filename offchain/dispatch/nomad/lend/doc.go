// Package lend brings the secrets of a job to a task on Nomad (ADR 0027). It is both halves, which share a folder of the allocation that Nomad shows to
// whoever may read files there:
//
//	the task asks     it makes a key in its memory and leaves the key's public half (NAME.ask)
//	a helper answers  a task beside it, with a network and a workload identity of Nomad's: it shows both to the gateway, opens what that lends if it is
//	                  wrapped by Vault, and leaves it sealed for the asker alone (NAME.sealed), or why there is nothing (NAME.refused)
//
// So nothing lies in the folder that opens anything. The package knows as little as the runner's image can carry: none of the stores of secrets.
package lend
