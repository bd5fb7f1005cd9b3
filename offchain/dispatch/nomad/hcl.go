package nomad

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// WriteHCL prints a job as a Nomad job file. Nomad's own printer and parser of the language are not under a free licence; this one goes by the tags that
// the API's structures carry for them, so it knows what they know. Fields without a tag are left out.
func WriteHCL(w io.Writer, job *api.Job) error {
	p := &hclPrinter{}
	named := *job
	named.ID = nil // it is the block's label
	p.block("job "+quote(*job.ID), reflect.ValueOf(named))
	_, err := w.Write(p.b.Bytes())
	return err
}

type hclPrinter struct {
	b     bytes.Buffer
	depth int
}

func (p *hclPrinter) line(format string, args ...any) {
	p.b.WriteString(strings.Repeat("  ", p.depth))
	fmt.Fprintf(&p.b, format+"\n", args...)
}

// block prints a structure. What it holds as blocks comes after what it holds as attributes.
func (p *hclPrinter) block(name string, v reflect.Value) {
	type field struct {
		name  string
		value reflect.Value
	}
	var attributes, blocks []field
	label := ""
	for i := range v.NumField() {
		tag, kind, _ := strings.Cut(v.Type().Field(i).Tag.Get("hcl"), ",")
		value, ok := present(v.Field(i))
		if tag == "" && kind != "label" || !ok {
			continue
		}
		if tag == "reserved_ports" { // the one name that the language has another word for
			tag = "port"
		}
		switch kind {
		case "label":
			label = " " + quote(fmt.Sprint(value.Interface()))
		case "block":
			blocks = append(blocks, field{tag, value})
		default:
			attributes = append(attributes, field{tag, value})
		}
	}
	p.line("%s%s {", name, label)
	p.depth++
	for _, a := range attributes {
		p.line("%s = %s", a.name, literal(a.value))
	}
	for _, b := range blocks {
		p.content(b.name, b.value)
	}
	p.depth--
	p.line("}")
}

// content prints what a tag calls a block: one structure, several, or a map.
func (p *hclPrinter) content(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		p.block(name, v)
	case reflect.Slice:
		for i := range v.Len() {
			if item, ok := present(v.Index(i)); ok {
				p.content(name, item)
			}
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.Pointer { // of structures, whose key is their label
			for _, key := range sortedKeys(v) {
				p.content(name, v.MapIndex(key).Elem())
			}
			return
		}
		p.line("%s {", name)
		p.depth++
		for _, key := range sortedKeys(v) {
			item, ok := present(v.MapIndex(key))
			switch {
			case !ok:
			case item.Kind() == reflect.Map, item.Kind() == reflect.Slice && item.Type().Elem().Kind() == reflect.Map:
				p.content(key.String(), item)
			default:
				p.line("%s = %s", key, literal(item))
			}
		}
		p.depth--
		p.line("}")
	}
}

// present follows pointers and interfaces. A nil one, an empty list or map, and a zero field that is no pointer say nothing.
func present(v reflect.Value) (reflect.Value, bool) {
	pointer := false
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return v, false
		}
		v, pointer = v.Elem(), true
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v, v.Len() > 0
	default:
		return v, pointer || !v.IsZero()
	}
}

func sortedKeys(m reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(m.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
}

func literal(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return quote(d.String())
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			item, _ := present(v.Index(i))
			items[i] = literal(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// hclEscapes are what has a meaning within quotes, for the language itself and for its templates.
var hclEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "%{", "%%{")

// quote leaves "${…}" as it is: in a job file Nomad's own variables come through so.
func quote(s string) string { return `"` + hclEscapes.Replace(s) + `"` }
