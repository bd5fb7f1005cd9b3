package demo

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Report is what a demo leaves in report.json. Amounts are in ufog.
type Report struct {
	ChainID     string         `json:"chain_id"`
	Node        NodeReport     `json:"node"`
	Oracles     []OracleReport `json:"oracles"`
	Rounds      []RoundReport  `json:"rounds"`
	Job         JobReport      `json:"job"`
	Assignments []Assignment   `json:"assignments"`
	Balances    Balances       `json:"balances"`
	// Conserved says that nothing was lost or made: the supply is the same, and what the accounts have less is what they paid in fees.
	Conserved bool `json:"conserved"`
	// ResultVerified says that the downloaded result has the digests that are on chain.
	ResultVerified bool `json:"result_verified"`
	// Seconds that the story took, and each of its steps.
	Seconds float64 `json:"seconds"`
	Steps   []Step  `json:"steps"`
}

// Step of the timeline.
type Step struct {
	Second float64 `json:"second"`
	Text   string  `json:"text"`
}

// NodeReport is the machine that ran the demo.
type NodeReport struct {
	ID       string               `json:"id"`
	Status   string               `json:"status"`
	Declared nodestypes.Benchmark `json:"declared"`
	Measured nodestypes.Benchmark `json:"measured"`
}

// OracleReport is one member of the set.
type OracleReport struct {
	Operator string `json:"operator"`
	Active   bool   `json:"active"`
	Bond     uint64 `json:"bond"`
	// Votes in the rounds of the demo.
	Votes int `json:"votes"`
}

// RoundReport is one question that the oracles answered.
type RoundReport struct {
	ID     uint64 `json:"id"`
	Kind   string `json:"kind"`
	Status string `json:"status"`
	Quorum uint32 `json:"quorum"`
	Votes  int    `json:"votes"`
}

// JobReport is the job of the demo.
type JobReport struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	CloseReason string `json:"close_reason"`
	Tasks       uint32 `json:"tasks"`
	Succeeded   uint32 `json:"succeeded"`
	Funded      uint64 `json:"funded"`
	Paid        uint64 `json:"paid"`
	Fees        uint64 `json:"fees"`
	Refunded    uint64 `json:"refunded"`
}

// Assignment is one slice and where it ran.
type Assignment struct {
	Slice        uint32 `json:"slice"`
	FirstTask    uint32 `json:"first_task"`
	Tasks        uint32 `json:"tasks"`
	Attempt      uint32 `json:"attempt"`
	Node         string `json:"node"`
	Outcome      string `json:"outcome"`
	ResultDigest string `json:"result_digest"`
	MeteredMS    uint64 `json:"metered_ms"`
	Paid         uint64 `json:"paid"`
}

func assignment(s jobstypes.Slice) Assignment {
	a := Assignment{
		Slice: s.Number, FirstTask: s.FirstTask, Tasks: s.TaskCount, Attempt: s.Attempt, Node: s.NodeId,
		Outcome: s.Status.String(), MeteredMS: s.MeteredMs, Paid: s.Paid,
	}
	if s.Outcome != nil {
		a.ResultDigest = "sha256:" + hex.EncodeToString(s.Outcome.ResultRoot)
		if len(s.Outcome.Failures) == 0 {
			a.Outcome = "success"
		}
	}
	return a
}

func roundReport(r oracletypes.Round, votes int) RoundReport {
	return RoundReport{ID: r.Id, Kind: r.Kind, Status: r.Status.String(), Quorum: r.Quorum, Votes: votes}
}

// write puts the report into dir, whole or not at all.
func (r Report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "report.json")
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}
