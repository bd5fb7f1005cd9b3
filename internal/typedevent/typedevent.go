// Package typedevent makes the same events as the SDK's EmitTypedEvent without its detour over JSON text, a map and a sort, which
// was the largest single cost of settling work: a slice has half a dozen events in its life.
package typedevent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Emit adds the event of a message to the context's events: its fields by name, each as proto3 JSON writes it.
func Emit(ctx sdk.Context, message proto.Message) error {
	event, err := New(message)
	if err != nil {
		return err
	}
	ctx.EventManager().EmitEvent(event)
	return nil
}

// New returns the event that sdk.TypedEventToEvent returns.
func New(message proto.Message) (sdk.Event, error) {
	value := reflect.ValueOf(message)
	if value.Kind() != reflect.Pointer || value.IsNil() || value.Elem().Kind() != reflect.Struct {
		return sdk.Event{}, fmt.Errorf("typedevent: %T is no message to make an event of", message)
	}
	value = value.Elem()
	p := planOf(message, value.Type())
	if !p.flat {
		return sdk.TypedEventToEvent(message)
	}
	attributes := make([]abci.EventAttribute, len(p.fields))
	for i, f := range p.fields {
		text, err := f.text(value.Field(f.index))
		if err != nil {
			return sdk.Event{}, fmt.Errorf("typedevent: %s.%s: %w", p.name, f.name, err)
		}
		attributes[i] = abci.EventAttribute{Key: f.name, Value: text}
	}
	return sdk.Event{Type: p.name, Attributes: attributes}, nil
}

// plan is how the events of one type of message are made.
type plan struct {
	name string
	// flat: all fields are plain values; messages with others are left to the SDK.
	flat bool
	// fields by name.
	fields []field
}

type field struct {
	name  string
	index int
	text  func(reflect.Value) (string, error)
}

// plans by reflect.Type. They follow from the types alone.
var plans sync.Map

func planOf(message proto.Message, t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	p := &plan{name: proto.MessageName(message), flat: true}
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("protobuf")
		text := textOf(t.Field(i).Type, tag)
		if text == nil {
			p.flat = false
			break
		}
		p.fields = append(p.fields, field{name: nameIn(tag), index: i, text: text})
	}
	slices.SortFunc(p.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	known, _ := plans.LoadOrStore(t, p)
	return known.(*plan)
}

// nameIn finds the name in a tag like "varint,1,opt,name=task_count,json=taskCount,proto3".
func nameIn(tag string) string {
	for part := range strings.SplitSeq(tag, ",") {
		if name, ok := strings.CutPrefix(part, "name="); ok {
			return name
		}
	}
	return ""
}

// textOf returns how values of a field are written, or nil for what is not plain.
func textOf(t reflect.Type, tag string) func(reflect.Value) (string, error) {
	switch {
	case nameIn(tag) == "" || strings.Contains(tag, "customtype=") || strings.Contains(tag, "casttype="):
		return nil
	case strings.Contains(tag, "enum="):
		return enumText
	case t == reflect.TypeFor[[]byte]():
		return bytesText
	case t.PkgPath() != "":
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return stringText
	case reflect.Bool:
		return func(v reflect.Value) (string, error) { return strconv.FormatBool(v.Bool()), nil }
	case reflect.Int32:
		return func(v reflect.Value) (string, error) { return strconv.FormatInt(v.Int(), 10), nil }
	case reflect.Uint32:
		return func(v reflect.Value) (string, error) { return strconv.FormatUint(v.Uint(), 10), nil }
	case reflect.Int64:
		return func(v reflect.Value) (string, error) { return `"` + strconv.FormatInt(v.Int(), 10) + `"`, nil }
	case reflect.Uint64:
		return func(v reflect.Value) (string, error) { return `"` + strconv.FormatUint(v.Uint(), 10) + `"`, nil }
	default:
		return nil
	}
}

// stringText quotes; what needs escaping is left to the JSON package.
func stringText(v reflect.Value) (string, error) {
	s := v.String()
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			return string(quoted), err
		}
	}
	return `"` + s + `"`, nil
}

func bytesText(v reflect.Value) (string, error) {
	if v.IsNil() {
		return "null", nil
	}
	return `"` + base64.StdEncoding.EncodeToString(v.Bytes()) + `"`, nil
}

// enumText writes the name of a value, or the number of one that has none.
func enumText(v reflect.Value) (string, error) {
	named, ok := v.Interface().(fmt.Stringer)
	if !ok {
		return "", fmt.Errorf("%s has no names", v.Type())
	}
	number := strconv.FormatInt(v.Int(), 10)
	if name := named.String(); name != number {
		return `"` + name + `"`, nil
	}
	return number, nil
}
