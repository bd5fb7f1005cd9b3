package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	gogoproto "github.com/cosmos/gogoproto/proto"

	"github.com/foggrid/fogd/offchain/chain"
)

// table writes rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// fields writes names and values; values that are empty are left out.
func fields(w io.Writer, pairs ...string) error {
	var rows [][]string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			rows = append(rows, pairs[i:i+2])
		}
	}
	return table(w, rows)
}

// fog writes an amount of ufog as FOG, without loss.
func fog(ufog uint64) string {
	whole, part := ufog/1_000_000, ufog%1_000_000
	if part == 0 {
		return strconv.FormatUint(whole, 10) + " FOG"
	}
	return fmt.Sprintf("%d.%s FOG", whole, strings.TrimRight(fmt.Sprintf("%06d", part), "0"))
}

// some counts things: 1 node, 2 nodes.
func some(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// short is the last word of an enum's name: ACTIVE of NODE_STATUS_ACTIVE, given its prefix.
func short(value fmt.Stringer, prefix string) string {
	return strings.TrimPrefix(value.String(), prefix)
}

// when writes a Unix second as local time.
func when(second int64) string {
	if second == 0 {
		return ""
	}
	return time.Unix(second, 0).Format(time.DateTime)
}

// millis writes a duration given in milliseconds.
func millis(ms uint64) string { return (time.Duration(min(ms, 1<<53)) * time.Millisecond).String() }

// size writes a number of bytes.
func size(bytes int64) string {
	const kib = 1 << 10
	switch {
	case bytes < kib:
		return fmt.Sprintf("%d B", bytes)
	case bytes < kib*kib:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/kib)
	case bytes < kib*kib*kib:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(kib*kib))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(kib*kib*kib))
}

// protoJSON is a message of the chain in the form in which its REST interface shows it: 64-bit numbers as strings, enums by name.
func protoJSON(codec *chain.Codec, m gogoproto.Message) (json.RawMessage, error) {
	return codec.Proto().MarshalJSON(m)
}

// protoList is a list of such messages.
func protoList[T any, P interface {
	*T
	gogoproto.Message
}](codec *chain.Codec, items []T) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(items))
	for i := range items {
		raw, err := protoJSON(codec, P(&items[i]))
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}
