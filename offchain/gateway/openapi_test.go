package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type document struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	OperationID string `json:"operationId"`
	Responses   map[string]struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
}

func readDocument(t testing.TB) document {
	t.Helper()
	var d document
	require.NoError(t, json.Unmarshal(OpenAPI(), &d))
	return d
}

// The document has exactly the routes, and every reference in it leads somewhere.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	d := readDocument(t)
	var documented, served []string
	ids := map[string]bool{}
	for path, operations := range d.Paths {
		for method, o := range operations {
			documented = append(documented, strings.ToUpper(method)+" "+path)
			require.False(t, ids[o.OperationID], o.OperationID)
			ids[o.OperationID] = true
		}
	}
	for _, rt := range routes() {
		served = append(served, rt.method+" "+rt.pattern)
	}
	require.ElementsMatch(t, served, documented)
	for _, part := range strings.Split(string(OpenAPI()), `"$ref": "`)[1:] {
		target, _, _ := strings.Cut(part, `"`)
		name, ok := strings.CutPrefix(target, "#/components/schemas/")
		require.True(t, ok)
		require.Contains(t, d.Components.Schemas, name)
	}
}

// checkDocumented compares an answer of the API with what the document says of it; all tests that send requests call it.
func checkDocumented(t testing.TB, method, path string, resp *http.Response, body []byte) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "/v2") || resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return
	}
	d := readDocument(t)
	for _, rt := range routes() {
		if !matches(rt.pattern, path) || rt.method != method {
			continue
		}
		o := d.Paths[rt.pattern][strings.ToLower(method)]
		r, ok := o.Responses[map[int]string{200: "200", 201: "201"}[resp.StatusCode]]
		if !ok {
			r = o.Responses["default"]
		}
		kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		content, ok := r.Content[kind]
		require.True(t, ok, "%s %s answers %d with %q, which is not documented", method, rt.pattern, resp.StatusCode, kind)
		if kind == "application/json" {
			var v any
			require.NoError(t, json.Unmarshal(body, &v))
			d.check(t, content.Schema, v, method+" "+rt.pattern)
		}
		return
	}
}

func (d document) check(t testing.TB, s schema, v any, at string) {
	t.Helper()
	if s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	switch s.Type {
	case "object":
		object, ok := v.(map[string]any)
		require.True(t, ok, "%s is no object", at)
		if len(s.Properties) == 0 {
			return
		}
		for name, field := range object {
			p, ok := s.Properties[name]
			require.True(t, ok, "%s has %q, which is not documented", at, name)
			d.check(t, p, field, at+"."+name)
		}
		for _, name := range s.Required {
			require.Contains(t, object, name, at)
		}
	case "array":
		list, ok := v.([]any)
		require.True(t, ok, "%s is no list", at)
		for _, item := range list {
			d.check(t, *s.Items, item, at+"[]")
		}
	case "string":
		require.IsType(t, "", v, at)
	case "integer":
		require.IsType(t, 0.0, v, at)
	case "boolean":
		require.IsType(t, true, v, at)
	default:
		require.True(t, slices.Contains([]string{""}, s.Type), "%s: type %q", at, s.Type)
	}
}
