package nodeclient

import (
	"context"
	"slices"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/query"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// sightedEpochs is how many of the newest liveness rounds are looked at.
const sightedEpochs = 10

// Sighting is what an oracle said of a node in the last of its votes on liveness, and where the vote named it, if one of the last ones did. Votes name only
// what differs from what the chain has.
type Sighting struct {
	Oracle string `json:"oracle"`
	// Time at which the newest round that it voted in was opened, as a Unix second.
	Time int64 `json:"time"`
	// Says is down, up, or agrees: it saw the node as the chain has it.
	Says string `json:"says"`
	// Named is the Unix second of the newest round in which it named the node, zero if in none of the last ones; Network is what it saw then, if it was
	// the network that differed, Boot the new boot id of the agent, if it was that.
	Named   int64               `json:"named"`
	Network *nodestypes.Network `json:"network"`
	Boot    string              `json:"boot"`
}

// What a Sighting says.
const (
	SaysDown   = "down"
	SaysUp     = "up"
	SaysAgrees = "agrees"
)

// Sightings are what the oracles said of a node in the newest rounds, by oracle.
func (c *Client) Sightings(ctx context.Context, n nodestypes.Node) ([]Sighting, error) {
	rounds, err := oracletypes.NewQueryClient(c.Chain.Latest()).Rounds(ctx, &oracletypes.QueryRoundsRequest{
		Kind: oracletypes.KindLiveness, Pagination: &query.PageRequest{Limit: sightedEpochs, Reverse: true},
	})
	if err != nil {
		return nil, err
	}
	return sightings(rounds.Rounds, n.Index), nil
}

// sightings reads rounds, the newest first. Votes that cannot be read are left out: the chain would have refused them.
func sightings(rounds []oracletypes.Round, index uint32) []Sighting {
	out := []Sighting{}
	for _, r := range rounds {
		for _, v := range r.Votes {
			o, err := nodestypes.DecodeLivenessBody(v.Body)
			if err != nil {
				continue
			}
			at := slices.IndexFunc(out, func(s Sighting) bool { return s.Oracle == v.Operator })
			if at < 0 {
				at = len(out)
				out = append(out, Sighting{Oracle: v.Operator, Time: r.OpenedTime, Says: saidOf(o, index)})
			}
			if s := &out[at]; s.Named == 0 {
				s.note(o, index, r.OpenedTime)
			}
		}
	}
	slices.SortFunc(out, func(a, b Sighting) int { return strings.Compare(a.Oracle, b.Oracle) })
	return out
}

func saidOf(o nodestypes.LivenessObservation, index uint32) string {
	switch {
	case slices.Contains(o.Down, index):
		return SaysDown
	case slices.Contains(o.Up, index):
		return SaysUp
	}
	return SaysAgrees
}

// note takes what a vote says of the node by name.
func (s *Sighting) note(o nodestypes.LivenessObservation, index uint32, at int64) {
	if saidOf(o, index) != SaysAgrees {
		s.Named = at
	}
	for _, n := range o.Network {
		if n.Index == index {
			s.Named, s.Network = at, &nodestypes.Network{RttUs: n.RttUs, JitterUs: n.JitterUs, LossPpm: n.LossPpm, Time: at}
		}
	}
	for _, r := range o.Restarted {
		if r.Index == index {
			s.Named, s.Boot = at, r.Boot
		}
	}
}

// Measurement is what an oracle measured in the last benchmark of a node's present boot, as long as the chain remembers the round.
type Measurement struct {
	Oracle string `json:"oracle"`
	// Reached is false if the oracle could not measure.
	Reached  bool                 `json:"reached"`
	Measured nodestypes.Benchmark `json:"measured"`
	Time     int64                `json:"time"`
}

// Measurements are those of a node's present boot, by oracle.
func (c *Client) Measurements(ctx context.Context, n nodestypes.Node) ([]Measurement, error) {
	out := []Measurement{}
	id, err := nodestypes.ParseNodeID(n.Id)
	if err != nil {
		return out, err
	}
	subject, err := nodestypes.EncodeBenchmarkSubject(id, n.Boot)
	if err != nil {
		return out, err
	}
	rounds, err := oracletypes.NewQueryClient(c.Chain.Latest()).Rounds(ctx, &oracletypes.QueryRoundsRequest{
		Kind: oracletypes.KindBenchmark, Subject: subject, Pagination: &query.PageRequest{Limit: 1, Reverse: true},
	})
	if err != nil || len(rounds.Rounds) == 0 {
		return out, err
	}
	for _, v := range rounds.Rounds[0].Votes {
		if o, err := nodestypes.DecodeBenchmarkBody(v.Body); err == nil {
			out = append(out, Measurement{Oracle: v.Operator, Reached: !o.Unreachable, Measured: o.Measured, Time: rounds.Rounds[0].OpenedTime})
		}
	}
	return out, nil
}
