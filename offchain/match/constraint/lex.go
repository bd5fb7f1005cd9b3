package constraint

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type token struct {
	kind tokenKind
	text string // of a name or an operator, the value of a string
	num  int64
	at   int // byte offset
	end  int
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokInt
	tokString
	tokOperator
)

// operators, the longer before their prefixes.
var operators = [...]string{"||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."}

func lex(source string) ([]token, *Error) {
	var out []token
	for at := 0; at < len(source); {
		c := source[at]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			at++
		case isLetter(c):
			end := at
			for end < len(source) && (isLetter(source[end]) || isDigit(source[end])) {
				end++
			}
			out = append(out, token{kind: tokName, text: source[at:end], at: at, end: end})
			at = end
		case isDigit(c):
			end := at
			for end < len(source) && (isLetter(source[end]) || isDigit(source[end]) || source[end] == '.') {
				end++
			}
			digits := strings.ReplaceAll(source[at:end], "_", "")
			num, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return nil, fail(source, at, "%q is no whole number of at most 64 bits; write digits, with _ between them if you like", source[at:end])
			}
			out = append(out, token{kind: tokInt, num: num, at: at, end: end})
			at = end
		case c == '"' || c == '\'':
			value, end, err := lexString(source, at)
			if err != nil {
				return nil, err
			}
			out = append(out, token{kind: tokString, text: value, at: at, end: end})
			at = end
		default:
			op := ""
			for _, candidate := range operators {
				if strings.HasPrefix(source[at:], candidate) {
					op = candidate
					break
				}
			}
			if op == "" {
				return nil, unexpectedCharacter(source, at)
			}
			out = append(out, token{kind: tokOperator, text: op, at: at, end: at + len(op)})
			at += len(op)
		}
	}
	return append(out, token{kind: tokEnd, at: len(source), end: len(source)}), nil
}

func unexpectedCharacter(source string, at int) *Error {
	r, _ := utf8.DecodeRuneInString(source[at:])
	switch r {
	case '=':
		return fail(source, at, "a single = does not compare; write ==")
	case '&', '|':
		return fail(source, at, "a single %c does not join conditions; write %c%c", r, r, r)
	}
	return fail(source, at, "%q has no meaning here", r)
}

// lexString reads a string in single or double quotes; a backslash takes a quote or a backslash as it is.
func lexString(source string, at int) (value string, end int, _ *Error) {
	quote := source[at]
	var b strings.Builder
	for i := at + 1; i < len(source); i++ {
		switch c := source[i]; c {
		case quote:
			return b.String(), i + 1, nil
		case '\\':
			if i++; i == len(source) || (source[i] != '\\' && source[i] != '"' && source[i] != '\'') {
				return "", 0, fail(source, i-1, "a backslash in a string goes before a quote or a backslash")
			}
			b.WriteByte(source[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fail(source, at, "the string that starts here has no end; close it with %c", quote)
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
