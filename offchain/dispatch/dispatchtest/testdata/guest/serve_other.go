//go:build !linux

package main

import "errors"

func serve() error { return errors.New("services are for Linux") }
