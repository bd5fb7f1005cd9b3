package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

const day = "2006-01-02"

var idExpr = regexp.MustCompile(`^GO-[0-9]{4}-[0-9]{4,}$`)

// acceptance says why a vulnerability is no danger here, and until which day that is believed without looking again.
type acceptance struct {
	until  time.Time
	reason string
}

// parseAccepted reads lines of an id, the last day and a reason; empty lines and those that begin with # are skipped.
func parseAccepted(text string) (map[string]acceptance, error) {
	list := map[string]acceptance{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fail := func(format string, args ...any) (map[string]acceptance, error) {
			return nil, fmt.Errorf("line %d: %s", i+1, fmt.Sprintf(format, args...))
		}
		id, rest, _ := strings.Cut(line, " ")
		date, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
		until, err := time.Parse(day, date)
		switch _, twice := list[id]; {
		case !idExpr.MatchString(id):
			return fail("%.40q is no id of the Go database; write it like GO-2024-1234", id)
		case twice:
			return fail("%s was accepted before; remove one", id)
		case err != nil:
			return fail("%.40q is no day; write the last one on which %s is accepted, like 2027-03-31", date, id)
		case len(strings.Fields(reason)) < 3:
			return fail("say in a sentence why %s is accepted", id)
		}
		list[id] = acceptance{until, strings.TrimSpace(reason)}
	}
	return list, nil
}
