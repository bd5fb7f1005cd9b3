package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRollUp(t *testing.T) {
	lines := []string{
		`{"time":3600,"sensor":"b","metric":"t","milli":-3}`, `{"time":7199,"sensor":"b","metric":"t","milli":6}`,
		`{"time":7200,"sensor":"b","metric":"t","milli":1}`, `{"time":3601,"sensor":"a","metric":"t","milli":5}`,
	}
	hours, err := rollUp(strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	raw, err := json.Marshal(hours)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"hour":3600,"sensor":"a","metric":"t","count":1,"min_milli":5,"mean_milli":5,"max_milli":5},
		{"hour":3600,"sensor":"b","metric":"t","count":2,"min_milli":-3,"mean_milli":1,"max_milli":6},
		{"hour":7200,"sensor":"b","metric":"t","count":1,"min_milli":1,"mean_milli":1,"max_milli":1}
	]`, string(raw))
	hours, err = rollUp(strings.NewReader(""))
	require.NoError(t, err)
	require.Empty(t, hours)
	_, err = rollUp(strings.NewReader("{"))
	require.ErrorContains(t, err, "line 1")
}
