package setup

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// difference says in which of the wanted fields the Vault has something else. Fields that the files do not name are the Vault's affair.
func difference(want, have map[string]any) []string {
	var changes []string
	for _, field := range slices.Sorted(maps.Keys(want)) {
		w, h := want[field], have[field]
		if nested, ok := w.(map[string]any); ok {
			if inner, ok := h.(map[string]any); ok {
				for _, line := range difference(nested, inner) {
					changes = append(changes, line[:2]+field+"."+line[2:])
				}
				continue
			}
		}
		if equal(w, h) {
			continue
		}
		if !empty(h) {
			changes = append(changes, "- "+field+": "+show(h))
		}
		changes = append(changes, "+ "+field+": "+show(w))
	}
	return changes
}

func added(fields map[string]any) []string { return difference(fields, nil) }

func show(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// equal knows that Vault returns "1h" as 3600, and a list that was given as a text as a list.
func equal(want, have any) bool {
	if empty(want) && empty(have) {
		return true
	}
	return slices.Equal(canonical(want), canonical(have))
}

// canonical makes texts of a value that are the same for all forms that mean the same; the order of lists means nothing in what we set.
func canonical(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, canonical(item)...)
		}
		slices.Sort(all)
		return all
	case map[string]any:
		var all []string
		for key, item := range v {
			all = append(all, key+"="+strings.Join(canonical(item), ","))
		}
		slices.Sort(all)
		return all
	case string:
		if d, err := time.ParseDuration(v); err == nil {
			return []string{strconv.FormatInt(int64(d/time.Second), 10)}
		}
		return []string{strings.TrimSpace(v)}
	case bool:
		return []string{strconv.FormatBool(v)}
	}
	return []string{fmt.Sprint(v)}
}
