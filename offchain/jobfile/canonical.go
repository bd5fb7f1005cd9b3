package jobfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/foggrid/fogd/offchain/artifact"
)

// The functions below write JSON by RFC 8785: no spaces, members in order of their names, and the shortest escapes. Names here are
// ASCII, so byte order is the order of UTF-16 that the RFC asks for; numbers are integers below 2^53, so their form is not in question.

func canonicalObject(members map[string]json.RawMessage) json.RawMessage {
	out := json.RawMessage{'{'}
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, canonicalString(name)...)
		out = append(out, ':')
		out = append(out, members[name]...)
	}
	return append(out, '}')
}

func canonicalArray(items []json.RawMessage) json.RawMessage {
	out := json.RawMessage{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']')
}

func canonicalUint(n uint64) json.RawMessage { return strconv.AppendUint(nil, n, 10) }

func canonicalBool(b bool) json.RawMessage { return strconv.AppendBool(nil, b) }

// canonicalDigest writes a zero digest as the empty string.
func canonicalDigest(d artifact.Digest) json.RawMessage {
	if d.IsZero() {
		return canonicalString("")
	}
	return canonicalString(d.String())
}

// canonicalString expects UTF-8; only quotes, backslashes and control characters are escaped.
func canonicalString(s string) json.RawMessage {
	out := json.RawMessage{'"'}
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\b':
			out = append(out, `\b`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\f':
			out = append(out, `\f`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
