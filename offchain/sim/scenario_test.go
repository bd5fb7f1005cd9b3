package sim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadScenario(t *testing.T) {
	s, err := ReadScenario(strings.NewReader("version: 1\nname: x\nnodes: 30\nhidden:\n  slow_share: 0.1\nchurn: {per_hour: 0.05}\n"))
	require.NoError(t, err)
	want := DefaultScenario()
	want.Name, want.Nodes, want.Hidden.SlowShare, want.Churn.PerHour = "x", 30, 0.1, 0.05
	require.Equal(t, want, s)

	again, err := json.Marshal(s)
	require.NoError(t, err)
	back, err := ReadScenario(strings.NewReader(string(again)))
	require.NoError(t, err)
	require.Equal(t, s, back, "what is written can be read")
}

func TestScenarioProblems(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"empty":         {"", "see fog sim schema"},
		"a list":        {"- 1", "not a list of fields"},
		"no YAML":       {"a: [", "not YAML"},
		"no version":    {"nodes: 5", "line 1: version is missing"},
		"other version": {"\nversion: 2", "line 2: version is 2; it must be 1"},
		"unknown":       {"version: 1\ncloud: 3", "line 2: cloud is not a field; see fog sim schema"},
		"elsewhere":     {"version: 1\nper_hour: 0.1", "line 2: per_hour is not a field; did you mean churn.per_hour?"},
		"misspelt":      {"version: 1\njobs: {work_medium: 1}", "did you mean jobs.work_median"},
		"twice":         {"version: 1\nload: 1\nload: 2", "line 3: load was already given in line 2; remove one"},
		"no number":     {"version: 1\nload: much", `line 2: load is "much"; write a number`},
		"no integer":    {"version: 1\nnodes: 1.5", `line 2: nodes is "1.5"; write a whole number`},
		"a group":       {"version: 1\nload: {a: 1}", "line 2: load is not a single value"},
		"no group":      {"version: 1\nchurn: 5", "line 2: churn is a group of fields"},
		"out of bounds": {"version: 1\nliars:\n  share: 2", "line 3: liars.share is 2; it must be from 0 to 1"},
		"no day left":   {"version: 1\noffline: {share: 1, hours: 20, lead_hours: 4}", "leaves nothing of the day"},
		"not a number":  {"version: 1\nload: .nan", "load is"},
		"too large":     {"version: 1\n#" + strings.Repeat("x", maxScenarioBytes), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadScenario(strings.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
			require.ErrorAs(t, err, new(Problems))
		})
	}
}

func TestSchemaHasEveryField(t *testing.T) {
	raw, err := Schema()
	require.NoError(t, err)
	var schema struct {
		Properties map[string]struct {
			Properties map[string]struct{ Description string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &schema))
	s := DefaultScenario()
	for _, f := range s.settings() {
		group, leaf := split(f.path)
		if group == "" {
			require.Contains(t, schema.Properties, leaf)
			continue
		}
		require.NotEmpty(t, schema.Properties[group].Properties[leaf].Description, f.path)
	}
	require.NoError(t, s.Validate(), "the default must be valid")
}

func TestExampleScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, path := range files {
		file, err := os.Open(path)
		require.NoError(t, err)
		s, err := ReadScenario(file)
		require.NoError(t, err, path)
		require.Equal(t, strings.TrimSuffix(filepath.Base(path), ".yaml"), s.Name)
		require.NoError(t, file.Close())
	}
}

func FuzzReadScenario(f *testing.F) {
	f.Add("version: 1\nnodes: 30\nhidden:\n  slow_share: 0.1\n")
	f.Add(`{"version": 1, "churn": {"per_hour": 0.05}}`)
	f.Add("version: 1\na: &x 1\nb: *x")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadScenario(strings.NewReader(text))
		if err == nil {
			require.NoError(t, s.Validate())
		}
	})
}
