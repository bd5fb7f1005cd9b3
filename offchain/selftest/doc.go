// Package selftest attacks the verification of nodes on the machine that it runs on, and says what the oracles would make of it.
//
// Run plays an oracle against agents in processes of their own, over a real link: an honest one, or one that declares twice what it has, whose processors or
// memory are limited by a cgroup, or two that answer for one machine. Record writes down how the times of a machine's tries scatter, and
// Simulate replays registrations with that noise and the chain's verdicts.
package selftest
