package constraint

import (
	"slices"
	"strconv"
)

// Equality says that a text of the node is one of some values: of a variable, or of a label if Label is set.
type Equality struct {
	Name   string
	Label  bool
	Values []string
}

// Equalities are those among Parts: a node that breaks one does not meet the constraint. An index can use them to look at fewer nodes.
func (p *Program) Equalities() []Equality {
	parts := p.root.parts
	if parts == nil {
		parts = []*node{p.root}
	}
	var out []Equality
	for _, part := range parts {
		if part.equal != nil {
			out = append(out, *part.equal)
		}
	}
	return out
}

// equality is what a comparison says if it is one of a text with a literal.
func equality(op string, a, b *node) *Equality {
	if a.constant {
		a, b = b, a
	}
	if op != "==" || !b.constant {
		return nil
	}
	switch {
	case a.kind == kindAttribute && b.kind == kindString:
		return &Equality{a.key, true, []string{b.text(nil)}}
	case a.kind == kindAttribute && b.kind == kindBool:
		return &Equality{a.key, true, []string{strconv.FormatBool(b.truth(nil))}}
	case a.name != "" && b.kind == kindString:
		return &Equality{a.name, false, []string{b.text(nil)}}
	}
	return nil
}

// either is the equality of a node that meets one of several of the same text.
func either(parts []*node) *Equality {
	if len(parts) == 0 {
		return nil
	}
	var out Equality
	for i, part := range parts {
		if part.equal == nil {
			return nil
		}
		if i == 0 {
			out = *part.equal
			out.Values = nil
		}
		out.Values = slices.Concat(out.Values, part.equal.Values)
	}
	return &out
}
