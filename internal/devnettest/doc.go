// Package devnettest holds the tests of the real programs on real devnets: fogd and fog are built and run as processes, which are fed bad
// input, killed and started again, lied to, and joined by a node that has nothing, while every ufog is counted. It holds nothing else.
package devnettest
