//go:build !linux

package main

import "errors"

func attack(string) error { return errors.New("a container is attacked from Linux only") }
