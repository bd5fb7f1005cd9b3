//go:build !linux && !wasip1

package main

import "errors"

func attack(string, []string) error { return errors.New("attacks are from Linux and WebAssembly only") }
