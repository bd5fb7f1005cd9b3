package constraint

// node is an expression with its type, compiled: one of the functions is set.
type node struct {
	kind     kind
	at, end  int
	truth    func(*Facts) bool
	num      func(*Facts) int64
	text     func(*Facts) string
	key      string  // of an attribute
	name     string  // of a variable
	constant bool    // of a literal or a sum of literals
	parts    []*node // of a conjunction
	equal    *Equality
}

// Limits of an expression: what it costs to evaluate is bounded by them.
const (
	// MaxLength in bytes.
	MaxLength = 4096
	// MaxDepth of parentheses and operators within each other.
	MaxDepth = 50
)

type parser struct {
	source string
	tokens []token
	pos    int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEnd {
		p.pos++
	}
	return t
}

// accept takes the next token if it is the operator.
func (p *parser) accept(op string) bool {
	if t := p.peek(); t.kind == tokOperator && t.text == op {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(op, after string) *Error {
	if p.accept(op) {
		return nil
	}
	return fail(p.source, p.peek().at, "%s %s; here is %s", op, after, p.describe(p.peek()))
}

func (p *parser) describe(t token) string {
	if t.kind == tokEnd {
		return "the end"
	}
	return p.source[t.at:t.end]
}

// binding powers of the operators between two operands; a higher one binds tighter.
var powers = map[string]int{
	"||": 1, "&&": 2,
	"==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3,
	"+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}

// binary reads the operator between two operands that comes next.
func (p *parser) binary() (op string, power int) {
	t := p.peek()
	switch {
	case t.kind == tokOperator && t.text == "!" && p.tokens[p.pos+1].kind == tokName && p.tokens[p.pos+1].text == "in":
		return "!in", powers["in"]
	case t.kind == tokOperator, t.kind == tokName && t.text == "in":
		return t.text, powers[t.text]
	}
	return "", 0
}

// expression reads operands joined by operators that bind tighter than least.
func (p *parser) expression(least int) (*node, *Error) {
	left, err := p.prefix()
	if err != nil {
		return nil, err
	}
	for {
		op, power := p.binary()
		if power <= least {
			return left, nil
		}
		at := p.next()
		if op == "!in" {
			p.next()
		}
		if op == "in" || op == "!in" {
			left, err = p.membership(left, at, op == "!in")
		} else {
			var right *node
			if right, err = p.expression(power); err == nil {
				left, err = p.join(op, at, left, right)
			}
		}
		if err != nil {
			return nil, err
		}
		if power == powers["=="] {
			if next, again := p.binary(); again == power {
				return nil, fail(p.source, p.peek().at, "%s compares the result of a comparison; join two with &&", next)
			}
		}
	}
}

// prefix reads an operand with the operators before and the methods behind it.
func (p *parser) prefix() (*node, *Error) {
	t := p.peek()
	if p.depth++; p.depth > MaxDepth {
		return nil, fail(p.source, t.at, "more than %d levels within each other; write it flatter", MaxDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("!"):
		operand, err := p.prefix()
		if err != nil {
			return nil, err
		}
		if operand, err = p.truth(operand, "!"); err != nil {
			return nil, err
		}
		f := operand.truth
		return &node{kind: kindBool, at: t.at, end: operand.end, truth: func(x *Facts) bool { return !f(x) }}, nil
	case p.accept("-"):
		operand, err := p.prefix()
		if err != nil {
			return nil, err
		}
		zero := &node{kind: kindInt, at: t.at, end: t.end, constant: true, num: func(*Facts) int64 { return 0 }}
		return p.arithmetic("-", t, zero, operand)
	}
	operand, err := p.primary()
	for err == nil && p.accept(".") {
		operand, err = p.method(operand)
	}
	return operand, err
}

func (p *parser) primary() (*node, *Error) {
	t := p.next()
	switch t.kind {
	case tokInt:
		return &node{kind: kindInt, at: t.at, end: t.end, constant: true, num: func(*Facts) int64 { return t.num }}, nil
	case tokString:
		return &node{kind: kindString, at: t.at, end: t.end, constant: true, text: func(*Facts) string { return t.text }}, nil
	case tokName:
		return p.name(t)
	case tokOperator:
		if t.text == "(" {
			inner, err := p.expression(0)
			if err != nil {
				return nil, err
			}
			if err := p.expect(")", "closes a parenthesis"); err != nil {
				return nil, err
			}
			wrapped := *inner
			wrapped.at, wrapped.end = t.at, p.tokens[p.pos-1].end
			return &wrapped, nil
		}
		if t.text == "[" {
			return nil, fail(p.source, t.at, "a list stands behind in only")
		}
	}
	return nil, fail(p.source, t.at, "here should be a value; here is %s", p.describe(t))
}

func (p *parser) name(t token) (*node, *Error) {
	switch t.text {
	case "true", "false":
		value := t.text == "true"
		return &node{kind: kindBool, at: t.at, end: t.end, constant: true, truth: func(*Facts) bool { return value }}, nil
	case "attr":
		return p.attribute(t)
	case "has":
		return p.has(t)
	}
	v, found := variables[t.text]
	if !found {
		return nil, p.unknown(t)
	}
	return &node{kind: v.kind, at: t.at, end: t.end, name: t.text, num: v.num, text: v.text}, nil
}

func (p *parser) unknown(t token) *Error {
	if near := closest(t.text, Names()); near != "" {
		return fail(p.source, t.at, "unknown name %s; did you mean %s?", t.text, near)
	}
	return fail(p.source, t.at, "unknown name %s; a label of the node is attr.%s, a text stands in quotes", t.text, t.text)
}

// attribute reads what is behind attr.
func (p *parser) attribute(t token) (*node, *Error) {
	out := &node{kind: kindAttribute, at: t.at}
	switch {
	case p.accept("."):
		name := p.next()
		if name.kind != tokName {
			return nil, fail(p.source, name.at, "the name of a label comes behind attr. ; here is %s", p.describe(name))
		}
		out.key, out.end = name.text, name.end
	case p.accept("["):
		key := p.next()
		if key.kind != tokString {
			return nil, fail(p.source, key.at, `attr[…] takes the name of a label in quotes; here is %s`, p.describe(key))
		}
		if err := p.expect("]", "closes attr["); err != nil {
			return nil, err
		}
		out.key, out.end = key.text, p.tokens[p.pos-1].end
	default:
		return nil, fail(p.source, t.at, `attr needs the name of a label: attr.tpm or attr["my-label"]`)
	}
	return out, nil
}

func (p *parser) has(t token) (*node, *Error) {
	if err := p.expect("(", "comes behind has"); err != nil {
		return nil, err
	}
	inner, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if inner.kind != kindAttribute {
		return nil, fail(p.source, inner.at, "has asks for a label: has(attr.tpm); here is %s", inner.kind)
	}
	if err := p.expect(")", "closes has("); err != nil {
		return nil, err
	}
	key := inner.key
	return &node{kind: kindBool, at: t.at, end: p.tokens[p.pos-1].end, truth: func(f *Facts) bool {
		_, found := f.attribute(key)
		return found
	}}, nil
}

// list reads what is behind in.
func (p *parser) list() ([]*node, int, *Error) {
	if err := p.expect("[", "starts a list behind in"); err != nil {
		return nil, 0, err
	}
	var out []*node
	for !p.accept("]") {
		item, err := p.expression(0)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, item)
		if !p.accept(",") {
			if err := p.expect("]", "closes a list, a comma goes between its values"); err != nil {
				return nil, 0, err
			}
			break
		}
	}
	return out, p.tokens[p.pos-1].end, nil
}
