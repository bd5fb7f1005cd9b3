package nomadtest

import (
	"embed"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// Answers of a Nomad 2.0.6-dev server and client (one agent each, docker driver, ACLs, mutual TLS) to the requests that package nomad makes,
// trimmed to the objects that matter. TestRealRecordings makes them anew.
//
//go:embed recordings/*.json
var recorded embed.FS

type recordings struct {
	node       api.NodeListStub
	allocation api.AllocationListStub
	evaluation api.Evaluation
	members    api.ServerMembers
	checks     api.AllocCheckStatuses
}

func loadRecordings() (r recordings, err error) {
	for name, into := range map[string]any{
		"node": &r.node, "allocation": &r.allocation, "evaluation": &r.evaluation, "members": &r.members, "checks": &r.checks,
	} {
		raw, err := recorded.ReadFile("recordings/" + name + ".json")
		if err != nil {
			return r, err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return r, fmt.Errorf("recording %s: %w", name, err)
		}
	}
	return r, nil
}
