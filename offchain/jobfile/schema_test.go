package jobfile

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	generator "github.com/invopop/jsonschema"
	checker "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the schema and the golden files")

// quantity is the schema of a value with its own notation, made anew for each field.
func quantity(t reflect.Type) *generator.Schema {
	switch t {
	case reflect.TypeFor[MilliCPU]():
		return &generator.Schema{AnyOf: []*generator.Schema{
			{Type: "number", ExclusiveMinimum: "0", Maximum: "1024"},
			{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?$|^[0-9]+ ?m$`},
		}}
	case reflect.TypeFor[MiB]():
		return &generator.Schema{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? ?(MiB|GiB|TiB)$`}
	case reflect.TypeFor[Ufog]():
		return &generator.Schema{AnyOf: []*generator.Schema{
			{Type: "integer", Minimum: "1"},
			{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? ?FOG$|^[0-9]+ ?ufog$|^[0-9]+$`},
		}}
	case reflect.TypeFor[Place]():
		return &generator.Schema{Type: "string", Pattern: `^-?[0-9]+(\.[0-9]+)?, ?-?[0-9]+(\.[0-9]+)?$`}
	case reflect.TypeFor[Seconds]():
		return &generator.Schema{Type: "string", Pattern: `^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`, MinLength: new(uint64(2))}
	}
	return nil
}

// fieldSchema demands a field, and if it is named what it is.
func fieldSchema(name string, is *generator.Schema, required ...string) *generator.Schema {
	s := &generator.Schema{Required: required}
	if name != "" {
		s.Properties = generator.NewProperties()
		s.Properties.Set(name, is)
	}
	return s
}

func generateSchema(t *testing.T) []byte {
	r := generator.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true, Mapper: quantity,
	}
	s := r.Reflect(&File{})
	s.ID = "https://github.com/foggrid/fogd/offchain/jobfile/schema.json"
	s.Title = "fog job file"
	s.Description = "A job for the fog grid, usually in fog.yaml."
	scalar := &generator.Schema{AnyOf: []*generator.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	args, ok := s.Properties.Get("args")
	require.True(t, ok)
	args.Items = scalar
	env, ok := s.Properties.Get("env")
	require.True(t, ok)
	env.AdditionalProperties = scalar
	env.PropertyNames = &generator.Schema{Pattern: `^[A-Za-z_][A-Za-z0-9_]*$`, Not: &generator.Schema{Pattern: "^FOG_"}}
	s.If = fieldSchema("type", &generator.Schema{Const: TypeService}, "type")
	s.Then = fieldSchema("", nil, "funded_time")
	s.Else = fieldSchema("", nil, "max_duration")
	out, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	return append(out, '\n')
}

func TestSchemaIsGenerated(t *testing.T) {
	want := generateSchema(t)
	if *update {
		require.NoError(t, os.WriteFile("schema.json", want, 0o644))
	}
	got, err := os.ReadFile("schema.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run: go test ./offchain/jobfile -run TestSchema -update")
}

func compileSchema(t testing.TB) *checker.Schema {
	doc, err := checker.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := checker.NewCompiler()
	require.NoError(t, c.AddResource("fog.json", doc))
	s, err := c.Compile("fog.json")
	require.NoError(t, err)
	return s
}

// toJSON gives the YAML value in the form that a schema checker reads.
func toJSON(t testing.TB, data []byte) any {
	var v any
	require.NoError(t, yaml.Unmarshal(data, &v))
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	out, err := checker.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	return out
}

// TestSchemaAgrees holds parser and schema against the same files: what the one takes the other takes, and so for what they refuse.
func TestSchemaAgrees(t *testing.T) {
	s := compileSchema(t)
	good, err := filepath.Glob("testdata/good/*.yaml")
	require.NoError(t, err)
	bad, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	examples, err := filepath.Glob("../../examples/*/fog.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, good)
	require.NotEmpty(t, bad)
	good = append(append(good, "template.yaml"), examples...)
	for _, path := range good {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = Load(path)
		require.NoError(t, err, path)
		require.NoError(t, s.Validate(toJSON(t, data)), path)
	}
	for _, path := range bad {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = Load(path)
		require.Error(t, err, path)
		if strings.Contains(path, "/meaning-") {
			continue // a rule between fields or bytes, which a schema cannot say
		}
		require.Error(t, s.Validate(toJSON(t, data)), path)
	}
}
