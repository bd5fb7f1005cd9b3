// Package direct runs assignments on this machine: WASI preview 1 modules in this process under wazero, and container images through the
// Docker Engine where its socket answers (package docker).
//
// # Limits of modules
//
// A task cannot name anything of the host: /in and /out are the only folders, links do not exist, there are no sockets, and clock and
// random numbers are made up (see package dispatch). What it takes is bounded: linear memory by its limit, reserved from the operating
// system apart from the Go heap and returned at once when the task ends; run time by a watchdog that stops any loop; storage by a count
// of every byte and name in /out; the log by Options.LogLimit; open files by 256; tables of functions by 2^20 entries. Machine stacks are
// bounded by wazero at about 100 MB a task, which comes on top of the memory limit while a task recurses that deep.
//
// Tasks run as goroutines. Compiled WebAssembly comes back to Go at each turn of a loop, so the rest of the process keeps getting its
// turn while tasks compute, if late by up to some tens of milliseconds for each task beyond the processors.
//
// Modules that need the reference-types proposal beyond one table of functions are refused, because tables could then grow without
// bound outside linear memory; so is fd_renumber, because wazero would size its table of files by an argument.
//
// # State
//
// Below Options.Dir:
//
//	attempts/<job>_s<slice>_a<attempt>/attempt.json         what was started
//	attempts/…/tasks/<task>/{out/,log}                      a running task
//	attempts/…/tasks/<task>/{result.tar,log,done.json}      a finished one; done.json is written last, with a checksum, and result.tar is
//	                                                        encrypted if the assignment says for whom
//	cache/                                                  compiled modules
//	gpus.json                                               which task has which GPU
//	volumes/                                                see package volume
//
// A task without a valid done.json never happened: it is cleared away and run again, or its container is gone on with.
package direct
