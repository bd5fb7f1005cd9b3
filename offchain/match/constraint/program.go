package constraint

import (
	"slices"
)

// Program is a compiled expression; it may be used by many goroutines.
type Program struct {
	source string
	root   *node
}

// Compile checks and compiles an expression. The error is an *Error.
func Compile(source string) (*Program, error) {
	if len(source) > MaxLength {
		return nil, fail(source, MaxLength, "longer than %d bytes", MaxLength)
	}
	tokens, bad := lex(source)
	if bad != nil {
		return nil, bad
	}
	p := &parser{source: source, tokens: tokens}
	root, bad := p.expression(0)
	if bad != nil {
		return nil, bad
	}
	if t := p.peek(); t.kind != tokEnd {
		return nil, fail(source, t.at, "the expression ends before %s; join two conditions with && or ||", p.describe(t))
	}
	if root, bad = p.truth(root, "a constraint"); bad != nil {
		return nil, bad
	}
	return &Program{source: source, root: root}, nil
}

// Holds reports whether a node meets the constraint.
func (p *Program) Holds(f *Facts) bool { return p.root.truth(f) }

// String is the source.
func (p *Program) String() string { return p.source }

// Parts are the conditions that are joined by && at the top, each by itself, to tell which of them a node fails.
func (p *Program) Parts() []*Program {
	if p.root.parts == nil {
		return []*Program{p}
	}
	out := make([]*Program, 0, len(p.root.parts))
	for _, part := range p.root.parts {
		out = append(out, &Program{source: p.source[part.at:part.end], root: part})
	}
	return out
}

// Names are those that an expression can use, sorted.
func Names() []string {
	out := make([]string, 0, len(variables)+4)
	for name := range variables {
		out = append(out, name)
	}
	out = append(out, "attr", "has", "true", "false")
	slices.Sort(out)
	return out
}
