package nomadclient

import (
	"fmt"
	"strings"
)

// Unit is the systemd service of an agent: a program and its arguments, run as a user.
type Unit struct {
	Program string
	Args    []string
	// User runs it; root if empty, which a Nomad client needs.
	User string
	// Environment are files of variables, such as one with the passphrase.
	Environment []string
}

// String is the unit's file.
func (u Unit) String() string {
	var b strings.Builder
	b.WriteString("[Unit]\nDescription=fog agent: serves a node of the grid\nWants=network-online.target\nAfter=network-online.target docker.service\n\n[Service]\n")
	words := make([]string, 0, len(u.Args)+1)
	for _, w := range append([]string{u.Program}, u.Args...) {
		words = append(words, unitQuote(w))
	}
	fmt.Fprintf(&b, "ExecStart=%s\n", strings.Join(words, " "))
	if u.User != "" {
		fmt.Fprintf(&b, "User=%s\n", u.User)
	}
	for _, file := range u.Environment {
		fmt.Fprintf(&b, "EnvironmentFile=%s\n", strings.ReplaceAll(file, "%", "%%"))
	}
	// An agent ends in order at an interrupt. What it started ends with it, but containers: those belong to Docker.
	b.WriteString("KillSignal=SIGINT\nKillMode=mixed\nTimeoutStopSec=60\nRestart=always\nRestartSec=5\n\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

// unitEscapes are what has a meaning for systemd within quotes.
var unitEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`)

func unitQuote(word string) string { return `"` + unitEscapes.Replace(word) + `"` }
