// Package devnettest holds the test of the real programs on a real devnet: fogd and fog are built and run as processes, which are fed bad
// input, killed and started again, while every ufog is counted. It holds nothing else.
package devnettest
