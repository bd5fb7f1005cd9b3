package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a scenario file.
type Problem struct {
	// Line is zero where it is not known.
	Line int
	// Field is the path of the field, such as churn.per_hour; empty for the file as a whole.
	Field, Text string
}

// Error names line and field, where they are known.
func (p Problem) Error() string {
	text := p.Text
	if p.Field != "" {
		text = p.Field + " " + text
	}
	if p.Line > 0 {
		text = fmt.Sprintf("line %d: %s", p.Line, text)
	}
	return text
}

// Problems are all that was found, in order of their lines.
type Problems []Problem

// Error is a line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// maxScenarioBytes bounds a scenario file.
const maxScenarioBytes = 1 << 16

// ReadScenario reads a scenario from YAML, of which JSON is a part. What the file leaves out is as in DefaultScenario. The error is Problems
// if the file could be read.
func ReadScenario(r io.Reader) (Scenario, error) {
	s := DefaultScenario()
	data, err := io.ReadAll(io.LimitReader(r, maxScenarioBytes+1))
	if err != nil {
		return s, fmt.Errorf("read the scenario: %w", err)
	}
	if len(data) > maxScenarioBytes {
		return s, Problems{{Text: fmt.Sprintf("the file is larger than %d bytes; it can hold numbers only", maxScenarioBytes)}}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return s, Problems{{Text: fmt.Sprintf("the file is not YAML: %v", err)}}
	}
	d := scenarioDecoder{fields: map[string]any{}, lines: map[string]int{}}
	d.fields["version"] = &d.version
	for _, f := range s.settings() {
		d.fields[f.path] = f.to
	}
	if doc.Kind != yaml.DocumentNode || doc.Content[0].Kind != yaml.MappingNode {
		return s, Problems{{Text: "the file is not a list of fields; see fog sim schema"}}
	}
	d.group(doc.Content[0], "")
	if _, given := d.lines["version"]; !given {
		d.fail(1, "version", "is missing; write version: 1")
	} else if d.version != 1 {
		d.fail(d.lines["version"], "version", fmt.Sprintf("is %d; it must be 1", d.version))
	}
	s.check(func(path, problem string) { d.fail(d.lines[path], path, problem) })
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return s, d.problems
	}
	return s, nil
}

type scenarioDecoder struct {
	version  int
	fields   map[string]any
	lines    map[string]int
	problems Problems
}

func (d *scenarioDecoder) fail(line int, field, text string) {
	d.problems = append(d.problems, Problem{Line: line, Field: field, Text: text})
}

func (d *scenarioDecoder) group(n *yaml.Node, path string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := key.Value
		if path != "" {
			at = path + "." + at
		}
		if line, twice := d.lines[at]; twice {
			d.fail(key.Line, at, fmt.Sprintf("was already given in line %d; remove one", line))
			continue
		}
		d.lines[at] = key.Line
		to, known := d.fields[at]
		switch {
		case known:
			d.value(value, at, to)
		case path == "" && d.isGroup(at):
			if value.Kind != yaml.MappingNode {
				d.fail(value.Line, at, "is a group of fields; write them below it")
				continue
			}
			d.group(value, at)
		default:
			d.fail(key.Line, at, "is not a field"+d.suggest(at))
		}
	}
}

func (d *scenarioDecoder) isGroup(name string) bool {
	for path := range d.fields {
		if strings.HasPrefix(path, name+".") {
			return true
		}
	}
	return false
}

func (d *scenarioDecoder) value(n *yaml.Node, at string, to any) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n.Line, at, "is not a single value; write one")
		return
	}
	var err error
	switch p := to.(type) {
	case *string:
		*p = n.Value
	case *int:
		if *p, err = strconv.Atoi(n.Value); err != nil {
			d.fail(n.Line, at, fmt.Sprintf("is %q; write a whole number", n.Value))
		}
	case *float64:
		if *p, err = strconv.ParseFloat(n.Value, 64); err != nil {
			d.fail(n.Line, at, fmt.Sprintf("is %q; write a number", n.Value))
		}
	}
}

// suggest names the fields that have the same last name elsewhere, or else those that begin alike.
func (d *scenarioDecoder) suggest(at string) string {
	_, leaf := split(at)
	var near []string
	for _, alike := range []func(other string) bool{
		func(other string) bool { return other == leaf },
		func(other string) bool { return len(leaf) > 3 && len(other) > 3 && other[:3] == leaf[:3] },
	} {
		for path := range d.fields {
			if _, other := split(path); alike(other) {
				near = append(near, path)
			}
		}
		if len(near) > 0 {
			break
		}
	}
	if len(near) == 0 {
		return "; see fog sim schema for all fields"
	}
	slices.Sort(near)
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// split cuts a path into its group and its last name.
func split(path string) (group, leaf string) {
	group, leaf, found := strings.Cut(path, ".")
	if !found {
		return "", path
	}
	return group, leaf
}

// Schema is the JSON Schema of the scenario file.
func Schema() ([]byte, error) {
	s := DefaultScenario()
	root := map[string]any{"version": map[string]any{"type": "integer", "enum": []int{1}, "description": "Version of this format."}}
	for _, f := range s.settings() {
		field := map[string]any{"description": f.about, "default": f.to, "minimum": f.low, "maximum": f.high}
		switch f.to.(type) {
		case *string:
			field["type"] = "string"
			delete(field, "minimum")
			delete(field, "maximum")
		case *int:
			field["type"] = "integer"
		default:
			field["type"] = "number"
		}
		group, leaf := split(f.path)
		to := root
		if group != "" {
			if root[group] == nil {
				root[group] = map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
			}
			g, ok := root[group].(map[string]any)["properties"].(map[string]any)
			if !ok {
				return nil, errors.New("sim: a group of the schema has lost its fields; this is a bug")
			}
			to = g
		}
		to[leaf] = field
	}
	return json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Scenario of fog sim", "type": "object",
		"additionalProperties": false, "required": []string{"version"}, "properties": root,
	}, "", "  ")
}
