package constraint

import (
	"fmt"
	"unicode/utf8"
)

// Error is what is wrong with an expression.
type Error struct {
	// Column counts characters from 1.
	Column int
	// Message says what is wrong and what to write.
	Message string
}

// Error gives column and message.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Message) }

func fail(source string, at int, format string, args ...any) *Error {
	return &Error{Column: utf8.RuneCountInString(source[:at]) + 1, Message: fmt.Sprintf(format, args...)}
}

// closest is the known name nearest to a wrong one, or empty if none is near.
func closest(name string, known []string) string {
	best, distance := "", len(name)/3+2
	for _, k := range known {
		if d := edits(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
