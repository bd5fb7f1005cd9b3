package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decodeFile fills f from YAML. It walks the syntax tree itself, because yaml's own strict mode tells neither the field nor what it
// might have meant, and expands aliases, with which a small file can grow without bound.
func decodeFile(data []byte, f *File, problems *problemList) {
	if len(data) > MaxFileBytes {
		problems.add("", "the file is larger than %d bytes; put data into inputs", MaxFileBytes)
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty; write one with fog job init")
		} else {
			err = fmt.Errorf("the file is not YAML: %w", err)
		}
		problems.addErr("", err)
		return
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		problems.addAt(second.Line, "", errors.New("the file has a second document; write one job a file"))
	} else if !errors.Is(err, io.EOF) {
		problems.addErr("", fmt.Errorf("the file is not YAML: %w", err))
	}
	d := decoder{problems: problems, root: reflect.TypeFor[File]()}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		problems.addAt(doc.Line, "", errors.New("the file is not a list of fields; write one with fog job init"))
		return
	}
	d.decode(doc.Content[0], reflect.ValueOf(f).Elem(), "")
}

type decoder struct {
	problems *problemList
	root     reflect.Type
}

// scalar is a value with its own notation.
type scalar interface{ parseScalar(string) error }

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.problems.addAt(n.Line, path, fmt.Errorf(format, args...))
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, path, "uses an anchor or alias; write the value out")
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		d.fail(n, path, "has no value; give it one or remove the line")
		return
	}
	if s, ok := v.Addr().Interface().(scalar); ok {
		if d.isScalar(n, path) {
			if err := s.parseScalar(n.Value); err != nil {
				d.problems.addAt(n.Line, path, err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(n, v, path)
	case reflect.Map:
		d.decodeMap(n, v, path)
	case reflect.Slice:
		d.decodeSlice(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), path)
	case reflect.String:
		d.decodeString(n, v, path)
	case reflect.Uint32, reflect.Uint64:
		d.decodeUint(n, v, path)
	case reflect.Bool:
		d.decodeBool(n, v, path)
	default:
		panic(fmt.Sprintf("jobfile: field %s has a type that the decoder does not know: %s", path, v.Type()))
	}
}

func (d *decoder) isScalar(n *yaml.Node, path string) bool {
	if n.Kind == yaml.ScalarNode {
		return true
	}
	d.fail(n, path, "is a %s; write a single value", kindName(n))
	return false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "group of fields"
	case yaml.SequenceNode:
		return "list"
	default:
		return "single value"
	}
}

func (d *decoder) decodeString(n *yaml.Node, v reflect.Value, path string) {
	if !d.isScalar(n, path) {
		return
	}
	// Arguments and variables are text whatever they look like; elsewhere a number in place of a name is more likely a slip.
	text := strings.HasPrefix(path, "args[") || strings.HasPrefix(path, "env.")
	if n.Tag != "!!str" && !text {
		d.fail(n, path, "is %q, which YAML does not read as text; put it into quotes", clip(n.Value))
		return
	}
	v.SetString(n.Value)
}

func (d *decoder) decodeUint(n *yaml.Node, v reflect.Value, path string) {
	if !d.isScalar(n, path) {
		return
	}
	limit := uint64(math.MaxUint64) >> (64 - v.Type().Bits())
	u, err := strconv.ParseUint(n.Value, 10, 64)
	if err != nil || u > limit {
		d.fail(n, path, "is %q; write a whole number from 0 to %d", clip(n.Value), limit)
		return
	}
	v.SetUint(u)
}

func (d *decoder) decodeBool(n *yaml.Node, v reflect.Value, path string) {
	if !d.isScalar(n, path) {
		return
	}
	if n.Tag != "!!bool" {
		d.fail(n, path, "is %q; write true or false", clip(n.Value))
		return
	}
	v.SetBool(strings.EqualFold(n.Value, "true"))
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "is a %s; write a list", kindName(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.problems.lines[at] = item.Line
		d.decode(item, list.Index(i), at)
	}
	v.Set(list)
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "is a %s; write names with values", kindName(n))
		return
	}
	values := reflect.MakeMap(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := join(path, clip(key.Value))
		if !d.fresh(key, at, seen) {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(n.Content[i+1], value, at)
		values.SetMapIndex(reflect.ValueOf(key.Value), value)
	}
	v.Set(values)
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "is a %s; write a group of fields", kindName(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := join(path, clip(key.Value))
		field, known := fieldByName(v.Type(), key.Value)
		if key.Kind == yaml.ScalarNode && !known {
			d.fail(key, at, "is not a field%s", d.suggest(key.Value, path))
			continue
		}
		if d.fresh(key, at, seen) {
			d.decode(n.Content[i+1], v.FieldByIndex(field.Index), at)
		}
	}
}

// fresh checks a key, given the lines of the keys before it, and remembers its line.
func (d *decoder) fresh(key *yaml.Node, at string, seen map[string]int) bool {
	if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Tag == "!!merge" {
		d.fail(key, at, "is not a plain name; write name: value")
		return false
	}
	if line, twice := seen[key.Value]; twice {
		d.fail(key, at, "was already given in line %d; remove one", line)
		return false
	}
	seen[key.Value] = key.Line
	d.problems.lines[at] = key.Line
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func fieldByName(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
