package constraint

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func (f *Facts) attribute(key string) (string, bool) {
	if f.Attribute == nil {
		return "", false
	}
	return f.Attribute(key)
}

// truth makes a condition of a node: an attribute is read as true or false.
func (p *parser) truth(n *node, where string) (*node, *Error) {
	switch n.kind {
	case kindBool:
		return n, nil
	case kindAttribute:
		key := n.key
		return &node{kind: kindBool, at: n.at, end: n.end, equal: &Equality{key, true, []string{"true"}}, truth: func(f *Facts) bool {
			value, _ := f.attribute(key)
			return value == "true"
		}}, nil
	}
	return nil, fail(p.source, n.at, "%s takes conditions; here is %s", where, n.kind)
}

// join makes one node of two and the operator between them.
func (p *parser) join(op string, at token, a, b *node) (*node, *Error) {
	switch op {
	case "||", "&&":
		return p.logic(op, a, b)
	case "+", "-", "*", "/", "%":
		return p.arithmetic(op, at, a, b)
	}
	return p.compare(op, at, a, b)
}

func (p *parser) logic(op string, a, b *node) (*node, *Error) {
	a, err := p.truth(a, op)
	if err != nil {
		return nil, err
	}
	if b, err = p.truth(b, op); err != nil {
		return nil, err
	}
	f, g := a.truth, b.truth
	out := &node{kind: kindBool, at: a.at, end: b.end}
	if op == "||" {
		out.truth = func(x *Facts) bool { return f(x) || g(x) }
		return out, nil
	}
	out.truth = func(x *Facts) bool { return f(x) && g(x) }
	for _, side := range []*node{a, b} {
		if side.parts != nil {
			out.parts = append(out.parts, side.parts...)
		} else {
			out.parts = append(out.parts, side)
		}
	}
	return out, nil
}

func (p *parser) arithmetic(op string, at token, a, b *node) (*node, *Error) {
	for _, n := range []*node{a, b} {
		if n.kind != kindInt {
			return nil, fail(p.source, n.at, "%s takes integers; here is %s", op, n.kind)
		}
	}
	f, g := a.num, b.num
	out := &node{kind: kindInt, at: a.at, end: b.end, constant: a.constant && b.constant}
	switch op {
	case "+":
		out.num = func(x *Facts) int64 { return add(f(x), g(x)) }
	case "-":
		out.num = func(x *Facts) int64 { return subtract(f(x), g(x)) }
	case "*":
		out.num = func(x *Facts) int64 { return multiply(f(x), g(x)) }
	default:
		if !b.constant {
			return nil, fail(p.source, b.at, "%s takes a constant behind it", op)
		}
		by := g(nil)
		if by == 0 {
			return nil, fail(p.source, at.at, "%s by zero", op)
		}
		if op == "/" {
			out.num = func(x *Facts) int64 { return divide(f(x), by) }
		} else {
			out.num = func(x *Facts) int64 { return remainder(f(x), by) }
		}
	}
	return out, nil
}

func add(a, b int64) int64 {
	sum := a + b
	if a > 0 && b > 0 && sum < 0 {
		return math.MaxInt64
	}
	if a < 0 && b < 0 && sum >= 0 {
		return math.MinInt64
	}
	return sum
}

func subtract(a, b int64) int64 {
	difference := a - b
	if a >= 0 && b < 0 && difference < 0 {
		return math.MaxInt64
	}
	if a < 0 && b > 0 && difference >= 0 {
		return math.MinInt64
	}
	return difference
}

func multiply(a, b int64) int64 {
	negative := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	switch {
	case negative && (hi > 0 || lo > 1<<63):
		return math.MinInt64
	case negative:
		return -int64(lo)
	case hi > 0 || lo >= 1<<63:
		return math.MaxInt64
	}
	return int64(lo)
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func divide(a, by int64) int64 {
	if a == math.MinInt64 && by == -1 {
		return math.MaxInt64
	}
	return a / by
}

func remainder(a, by int64) int64 {
	if by == -1 {
		return 0
	}
	return a % by
}

// compare checks the types of a comparison; an attribute takes the type of the other side.
func (p *parser) compare(op string, at token, a, b *node) (*node, *Error) {
	out := &node{kind: kindBool, at: a.at, end: b.end, equal: equality(op, a, b)}
	if a.kind == kindAttribute && b.kind == kindAttribute {
		return nil, fail(p.source, at.at, "%s between two labels; compare each with a value", op)
	}
	if a.kind == kindAttribute {
		truth, err := p.compareAttribute(op, at, a.key, b)
		out.truth = truth
		return out, err
	}
	if b.kind == kindAttribute {
		truth, err := p.compareAttribute(mirrored(op), at, b.key, a)
		out.truth = truth
		return out, err
	}
	if a.kind != b.kind {
		return nil, fail(p.source, at.at, "%s between %s and %s", op, a.kind, b.kind)
	}
	switch a.kind {
	case kindInt:
		f, g, holds := a.num, b.num, ordered[int64](op)
		out.truth = func(x *Facts) bool { return holds(f(x), g(x)) }
	case kindString:
		f, g, holds := a.text, b.text, ordered[string](op)
		out.truth = func(x *Facts) bool { return holds(f(x), g(x)) }
	default:
		if op != "==" && op != "!=" {
			return nil, fail(p.source, at.at, "%s takes integers or strings; a truth value has == and !=", op)
		}
		f, g, same := a.truth, b.truth, op == "=="
		out.truth = func(x *Facts) bool { return (f(x) == g(x)) == same }
	}
	return out, nil
}

func mirrored(op string) string {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return op
}

func ordered[T int64 | string](op string) func(a, b T) bool {
	switch op {
	case "==":
		return func(a, b T) bool { return a == b }
	case "!=":
		return func(a, b T) bool { return a != b }
	case "<":
		return func(a, b T) bool { return a < b }
	case "<=":
		return func(a, b T) bool { return a <= b }
	case ">":
		return func(a, b T) bool { return a > b }
	default:
		return func(a, b T) bool { return a >= b }
	}
}

// compareAttribute reads the label as the type of the value. What is missing or no such value is only unequal.
func (p *parser) compareAttribute(op string, at token, key string, b *node) (func(*Facts) bool, *Error) {
	otherwise := op == "!="
	switch b.kind {
	case kindInt:
		g, holds := b.num, ordered[int64](op)
		return func(f *Facts) bool {
			value, _ := f.attribute(key)
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return otherwise
			}
			return holds(n, g(f))
		}, nil
	case kindString:
		g, holds := b.text, ordered[string](op)
		return func(f *Facts) bool {
			value, found := f.attribute(key)
			if !found {
				return otherwise
			}
			return holds(value, g(f))
		}, nil
	}
	if op != "==" && op != "!=" {
		return nil, fail(p.source, at.at, "%s takes integers or strings; a truth value has == and !=", op)
	}
	g := b.truth
	return func(f *Facts) bool {
		value, _ := f.attribute(key)
		if value != "true" && value != "false" {
			return otherwise
		}
		return ((value == "true") == g(f)) != otherwise
	}, nil
}

// membership reads the list behind in.
func (p *parser) membership(a *node, at token, not bool) (*node, *Error) {
	items, end, err := p.list()
	if err != nil {
		return nil, err
	}
	tests := make([]*node, 0, len(items))
	for _, item := range items {
		equal, err := p.compare("==", at, a, item)
		if err != nil {
			return nil, fail(p.source, item.at, "in between %s and %s", a.kind, item.kind)
		}
		tests = append(tests, equal)
	}
	out := &node{kind: kindBool, at: a.at, end: end}
	if !not {
		out.equal = either(tests)
	}
	out.truth = func(f *Facts) bool {
		for _, test := range tests {
			if test.truth(f) {
				return !not
			}
		}
		return not
	}
	return out, nil
}

var methods = map[string]func(s, part string) bool{
	"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains,
}

// method reads what is behind a dot.
func (p *parser) method(on *node) (*node, *Error) {
	name := p.next()
	call, found := methods[name.text]
	if name.kind != tokName || !found {
		return nil, fail(p.source, name.at, "strings have startsWith, endsWith and contains; here is %s", p.describe(name))
	}
	if err := p.expect("(", "comes behind "+name.text); err != nil {
		return nil, err
	}
	argument, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect(")", "closes "+name.text+"("); err != nil {
		return nil, err
	}
	if argument.kind != kindString {
		return nil, fail(p.source, argument.at, "%s takes a string; here is %s", name.text, argument.kind)
	}
	out := &node{kind: kindBool, at: on.at, end: p.tokens[p.pos-1].end}
	g := argument.text
	switch on.kind {
	case kindString:
		f := on.text
		out.truth = func(x *Facts) bool { return call(f(x), g(x)) }
	case kindAttribute:
		key := on.key
		out.truth = func(x *Facts) bool {
			value, found := x.attribute(key)
			return found && call(value, g(x))
		}
	default:
		return nil, fail(p.source, name.at, "%s is for strings; here is %s", name.text, on.kind)
	}
	return out, nil
}
