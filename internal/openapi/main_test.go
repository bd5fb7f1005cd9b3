package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOperationIDsAreUniqueAcrossModules(t *testing.T) {
	const in = `{"swagger":"2.0","info":{"title":"x"},"paths":{
		"/fog/jobs/v1/params":{"get":{"operationId":"Query_Params","tags":["Query"]}},
		"/fog/nodes/v1/params":{"get":{"operationId":"Query_Params","tags":["Query"]}}}}`
	var out bytes.Buffer
	require.NoError(t, run(strings.NewReader(in), &out))

	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Tags        []string
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &doc))
	require.Equal(t, "jobs_Query_Params", doc.Paths["/fog/jobs/v1/params"]["get"].OperationID)
	require.Equal(t, []string{"nodes"}, doc.Paths["/fog/nodes/v1/params"]["get"].Tags)
}

func TestRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"not JSON":       {`{`, "not JSON"},
		"no paths":       {`{}`, "no paths"},
		"foreign path":   {`{"paths":{"/v1/params":{}}}`, "google.api.http"},
		"no operations":  {`{"paths":{"/fog/jobs/v1/params":[]}}`, "holds no operations"},
		"no operation":   {`{"paths":{"/fog/jobs/v1/params":{"get":1}}}`, "not an operation"},
		"same operation": {`{"paths":{"/fog/jobs/v1/a":{"get":{"operationId":"A"}},"/fog/jobs/v1/b":{"get":{"operationId":"A"}}}}`, "same operation id"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(strings.NewReader(tc.in), &bytes.Buffer{}), tc.want)
		})
	}
}
