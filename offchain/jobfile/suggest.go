package jobfile

import (
	"reflect"
	"regexp"
	"strings"
)

// suggest names the field that an unknown one in the group at path most likely stands for: the closest name, here before elsewhere.
func (d *decoder) suggest(name, path string) string {
	name = strings.ToLower(name)
	best, least, limit := "", 0, max(1, len(name)/3)
	kind := index.ReplaceAllString(path, "")
	for _, at := range fieldPaths(d.root, "") {
		group, leaf := "", at
		if i := strings.LastIndexByte(at, '.'); i >= 0 {
			group, leaf = at[:i], at[i+1:]
		}
		distance := 2 * editDistance(name, leaf)
		if distance > 2*limit {
			continue
		}
		if group == kind {
			at = join(path, leaf)
		} else {
			distance++
		}
		if best == "" || distance < least {
			best, least = at, distance
		}
	}
	if best == "" {
		return "; see fog job schema for all fields"
	}
	return "; did you mean " + best + "?"
}

// index is the place of an entry in a list.
var index = regexp.MustCompile(`\[[0-9]+\]`)

// fieldPaths are the paths of all fields, in the order of the structs; those of a list's entries are without their index.
func fieldPaths(t reflect.Type, group string) []string {
	var paths []string
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		at := join(group, f.Tag.Get("yaml"))
		paths = append(paths, at)
		inner := f.Type
		if inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer && !inner.Implements(reflect.TypeFor[scalar]()) {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && f.Tag.Get("jsonschema") != "-" {
			paths = append(paths, fieldPaths(inner, at)...)
		}
	}
	return paths
}

// maxSuggest keeps the work small for absurd names; no field is near them anyway.
const maxSuggest = 64

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	if len(a) > maxSuggest {
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			least := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				least = min(least, rows[i-2][j-2]+1)
			}
			rows[i][j] = least
		}
	}
	return rows[len(a)][len(b)]
}
