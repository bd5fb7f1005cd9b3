package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// frame is a step of the way from our code, which comes last, to the vulnerable symbol, which comes first.
type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
	Position *struct {
		Filename string `json:"filename"`
		Line     int    `json:"line"`
	} `json:"position"`
}

type finding struct {
	OSV   string  `json:"osv"`
	Fixed string  `json:"fixed_version"`
	Trace []frame `json:"trace"`
}

// called tells a symbol that is called from a module or package that is merely there.
func (f finding) called() bool { return f.Trace[0].Function != "" }

// where is the vulnerable symbol, and the place in our code that leads to it.
func (f finding) where() string {
	vulnerable := f.Trace[0]
	text := vulnerable.Module + "@" + vulnerable.Version
	if f.Fixed != "" {
		text += ", fixed in " + f.Fixed
	}
	if !f.called() {
		return text
	}
	name := vulnerable.Function
	if vulnerable.Receiver != "" {
		name = vulnerable.Receiver + "." + name
	}
	text += ": " + vulnerable.Package + " " + name
	if ours := f.Trace[len(f.Trace)-1]; ours.Position != nil {
		text += fmt.Sprintf(", by way of %s:%d", ours.Position.Filename, ours.Position.Line)
	}
	return text
}

// report is what govulncheck found, one finding for each vulnerability: one that is called, if there is any.
type report struct {
	modified  time.Time // of the database
	goVersion string
	summaries map[string]string
	found     map[string]finding
}

// readReport reads the stream of messages that govulncheck writes with -format json.
func readReport(in io.Reader) (report, error) {
	r := report{summaries: map[string]string{}, found: map[string]finding{}}
	complete := false
	for dec := json.NewDecoder(in); ; {
		var m struct {
			Config *struct {
				Modified  time.Time `json:"db_last_modified"`
				GoVersion string    `json:"go_version"`
			} `json:"config"`
			OSV *struct {
				ID      string `json:"id"`
				Summary string `json:"summary"`
			} `json:"osv"`
			Finding *finding `json:"finding"`
		}
		switch err := dec.Decode(&m); {
		case errors.Is(err, io.EOF) && complete:
			return r, nil
		case errors.Is(err, io.EOF):
			return report{}, errors.New("the output of govulncheck does not say what it searched")
		case err != nil:
			return report{}, fmt.Errorf("the output of govulncheck is no stream of JSON: %w", err)
		}
		switch {
		case m.Config != nil:
			r.modified, r.goVersion, complete = m.Config.Modified, m.Config.GoVersion, true
		case m.OSV != nil:
			r.summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil:
			if m.Finding.OSV == "" || len(m.Finding.Trace) == 0 {
				return report{}, errors.New("a finding of govulncheck has no id or no trace")
			}
			if before, ok := r.found[m.Finding.OSV]; !ok || !before.called() {
				r.found[m.Finding.OSV] = *m.Finding
			}
		}
	}
}

// judge writes what was found, and fails if something is called that is not accepted, or no longer.
func judge(r report, list map[string]acceptance, today time.Time, out io.Writer) error {
	fmt.Fprintf(out, "vulncheck: %s, database of %s\n", r.goVersion, r.modified.Format(day))
	var bad []string
	for _, id := range slices.Sorted(maps.Keys(r.found)) {
		f := r.found[id]
		verdict := "not called"
		if f.called() {
			accepted, ok := list[id]
			switch {
			case !ok:
				verdict, bad = "FOUND", append(bad, id)
			case today.After(accepted.until.AddDate(0, 0, 1)):
				verdict, bad = "NO LONGER ACCEPTED since "+accepted.until.Format(day), append(bad, id)
			default:
				verdict = "accepted until " + accepted.until.Format(day) + ", " + accepted.reason
			}
		}
		fmt.Fprintf(out, "%s (%s): %s\n    %s\n", id, r.summaries[id], f.where(), verdict)
	}
	for _, id := range slices.Sorted(maps.Keys(list)) {
		if f, ok := r.found[id]; !ok || !f.called() {
			fmt.Fprintf(out, "%s is accepted, and nothing calls it any more: remove it from the list\n", id)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("known vulnerabilities are called: %s; upgrade, or accept them with a reason and a day", strings.Join(bad, ", "))
	}
	fmt.Fprintln(out, "vulncheck: nothing is called that is not accepted")
	return nil
}
