package jobfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnsupported is wrapped by problems with fields that the job type knows but no release runs yet.
var ErrUnsupported = errors.New("not supported yet")

// Problem is one thing that is wrong with a job file.
type Problem struct {
	// File and Line say where; they are empty and zero where they are not known.
	File string
	Line int
	// Field is the path of the field, such as resources.memory or args[2]; empty for the file as a whole.
	Field string
	// Err says what is wrong and what to do.
	Err error
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	} else if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + " ")
	}
	b.WriteString(p.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// Problems are all that was found, in order of their lines.
type Problems []*Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one, for errors.Is and errors.As.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// problemList collects problems and knows where fields stand.
type problemList struct {
	file  string
	lines map[string]int
	found Problems
}

func (l *problemList) add(field, format string, args ...any) {
	l.addErr(field, fmt.Errorf(format, args...))
}

func (l *problemList) addErr(field string, err error) {
	l.addAt(l.lineOf(field), field, err)
}

func (l *problemList) addAt(line int, field string, err error) {
	l.found = append(l.found, &Problem{File: l.file, Line: line, Field: field, Err: err})
}

// lineOf is the line of the field, or of the closest field around it that the file has.
func (l *problemList) lineOf(field string) int {
	for field != "" {
		if line, ok := l.lines[field]; ok {
			return line
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return 0
}

// err returns the sorted problems, or nil.
func (l *problemList) err() error {
	if len(l.found) == 0 {
		return nil
	}
	slices.SortStableFunc(l.found, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Err.Error(), b.Err.Error()))
	})
	return l.found
}
