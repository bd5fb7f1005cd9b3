package jobfile

import (
	_ "embed" // the schema and the template are files, so that people and editors can read them
	"slices"
)

//go:embed schema.json
var schema []byte

//go:embed template.yaml
var template []byte

// Schema is the JSON schema (draft 2020-12) of job files, made from File by the tests (go test ./offchain/jobfile -update).
func Schema() []byte { return slices.Clone(schema) }

// Template is a commented job file to start from.
func Template() []byte { return slices.Clone(template) }
