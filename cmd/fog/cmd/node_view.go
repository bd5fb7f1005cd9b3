package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/nodeclient"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// nodeView is a node as `fog node status` shows it.
type nodeView struct {
	Node    json.RawMessage   `json:"node"`
	Running []json.RawMessage `json:"running"`
	// Class is nil for a node that no model has seen.
	Class  *nodeClass `json:"class"`
	Rating nodeRating `json:"rating"`
	// Health, Limits, Hours and Earnings are how it stands, Oracles what they saw.
	Health   nodeHealth   `json:"health"`
	Limits   nodeLimits   `json:"limits"`
	Hours    hoursView    `json:"hours"`
	Earnings nodeEarnings `json:"earnings"`
	Oracles  nodeOracles  `json:"oracles"`

	node    nodestypes.Node
	running []jobstypes.Slice
}

// nodeClass is the kind of machine that the recorded model takes a node for.
type nodeClass struct {
	ID uint32 `json:"id"`
	// Profile in words; empty if the newest model no longer has the class.
	Profile      string `json:"profile"`
	ModelVersion uint64 `json:"model_version"`
	// Candidate is the class to which a second model would move the node; zero if none.
	Candidate        uint32 `json:"candidate"`
	CandidateProfile string `json:"candidate_profile"`
}

// nodeRating is what a node has shown lately, as it weighs now: each outcome weighs half after forty later ones, and half again for each
// seven days without any.
type nodeRating struct {
	// Outcomes that count, in thousandths, and the part of them that succeeded; zero if there are none.
	Outcomes    uint64 `json:"outcomes_thousandths"`
	Reliability uint64 `json:"reliability_thousandths"`
	// Runs whose speed could be compared, in thousandths, and the delivered over the measured speed.
	SpeedRuns uint64 `json:"speed_runs_thousandths"`
	Speed     uint64 `json:"speed_thousandths"`
	// Doubt is the chance, in thousandths, that the node has gone bad; the figures above are of the time before.
	Doubt uint64 `json:"doubt_thousandths"`
	// Newest outcome as Unix second; zero if there is none.
	Newest int64 `json:"newest"`
}

func (a *app) readNode(ctx context.Context, ch *chain.Client, id string) (v nodeView, err error) {
	c := &nodeclient.Client{Chain: ch}
	if v.node, err = c.Node(ctx, id); err != nil {
		return v, err
	}
	if v.running, err = c.Running(ctx, id); err != nil {
		return v, err
	}
	model, _, err := c.Model(ctx) // before the first model no node has a class
	if err != nil {
		return v, err
	}
	v.Class, v.Rating = classOf(v.node, model), ratingOf(v.node, time.Now().Unix())
	if v.Node, err = protoJSON(ch.Codec(), &v.node); err != nil {
		return v, err
	}
	if v.Running, err = protoList(ch.Codec(), v.running); err != nil {
		return v, err
	}
	return v, v.readStanding(ctx, ch, time.Now())
}

func classOf(n nodestypes.Node, m nodestypes.Model) *nodeClass {
	if n.Class == 0 && n.ClassCandidate == 0 {
		return nil
	}
	profile := func(id uint32) string {
		for _, c := range m.Classes {
			if c.Id == id {
				return c.Profile
			}
		}
		return ""
	}
	return &nodeClass{
		ID: n.Class, Profile: profile(n.Class), ModelVersion: m.Version, Candidate: n.ClassCandidate, CandidateProfile: profile(n.ClassCandidate),
	}
}

// String is the class in words.
func (c *nodeClass) String() string {
	if c == nil {
		return "none yet"
	}
	name := func(id uint32, profile string) string {
		if id == 0 {
			return "none yet"
		}
		return fmt.Sprintf("%d: %s", id, cmp.Or(profile, "no longer in the model"))
	}
	text := fmt.Sprintf("%s (model %d)", name(c.ID, c.Profile), c.ModelVersion)
	if c.Candidate != 0 {
		text += "; may become " + name(c.Candidate, c.CandidateProfile)
	}
	return text
}

func ratingOf(n nodestypes.Node, at int64) nodeRating {
	s := match.Stats{
		Successes: n.Rating.Successes, Trials: n.Rating.Trials, Speed: n.Rating.Speed, SpeedTrials: n.Rating.SpeedTrials,
		Doubt: n.Rating.Doubt, Suspects: n.Rating.Suspects, Last: n.RatedTime,
	}.Idle(at)
	v := nodeRating{
		Outcomes: s.Trials * 1000 / match.One, SpeedRuns: s.SpeedTrials * 1000 / match.One, Doubt: s.Doubt * 1000 >> 32, Newest: n.RatedTime,
	}
	if s.Trials > 0 {
		v.Reliability = s.Successes * 1000 / s.Trials
	}
	if s.SpeedTrials > 0 {
		v.Speed = s.Speed * 1000 / s.SpeedTrials
	}
	return v
}

// reliability is the rating in words, without and with counts.
func (v nodeRating) reliability() string {
	if v.Outcomes == 0 {
		return "no outcomes that count yet; its class speaks for it"
	}
	return fmt.Sprintf("%s of %d.%d outcomes that count, the newest %s", perMille(uint32(v.Reliability)), v.Outcomes/1000, v.Outcomes/100%10, when(v.Newest))
}

// doubt is empty where there is hardly any.
func (v nodeRating) doubt() string {
	if v.Doubt < 10 {
		return ""
	}
	return fmt.Sprintf("%s that it has gone bad since; it is tried again with one task, the sooner the less that is", perMille(uint32(v.Doubt)))
}

func (v nodeRating) speed() string {
	if v.SpeedRuns == 0 {
		return ""
	}
	return fmt.Sprintf("%s of the measured speed, over %d.%d runs that count", perMille(uint32(v.Speed)), v.SpeedRuns/1000, v.SpeedRuns/100%10)
}

const locationUsage = "where the machine stands, as LATITUDE,LONGITUDE in degrees, such as 50.11,8.68"

// parseLocation reads --location; empty is none.
func parseLocation(text string) (*nodestypes.Location, error) {
	if text == "" {
		return nil, nil
	}
	p, err := jobfile.ParsePlace(text)
	if err != nil {
		return nil, usagef("--location %w", err)
	}
	return &nodestypes.Location{Latitude: p.Latitude, Longitude: p.Longitude}, nil
}

func declaredPlace(l *nodestypes.Location) string {
	if l == nil {
		return "not declared; distances count as the farthest"
	}
	return jobfile.Place{Latitude: l.Latitude, Longitude: l.Longitude}.String()
}

func printNode(w io.Writer, v nodeView) error {
	n := v.node
	var attributes []string
	for _, attr := range n.Attributes {
		attributes = append(attributes, attr.Key+"="+attr.Value)
	}
	waits := ""
	if n.BenchmarkPending {
		waits = fmt.Sprintf("for a benchmark by the oracles (tried %d times)", n.BenchmarkTries)
	}
	s := n.Statistics
	about := []string{
		"node", n.Id, "owner", n.Owner, "status", short(n.Status, "NODE_STATUS_"), "since", when(n.StatusSince), "reason", n.JailReason,
		"waits", waits, "place", n.Region + " / " + n.Datacenter, "location", declaredPlace(n.Location), "hardware", strings.TrimSpace(fmt.Sprintf("%s, %d cores, %s/%s",
			n.Hardware.CpuModel, n.Hardware.Cores, n.Hardware.Os, n.Hardware.Arch)),
		"engines", strings.Join(jobfile.EngineNames(n), ", "), "attributes", strings.Join(attributes, ", "), "class", v.Class.String(), "reliability", v.Rating.reliability(), "doubt", v.Rating.doubt(),
		"delivers", v.Rating.speed(), "network", networkText(n), "services", reachText(n),
		"tasks", fmt.Sprintf("%d ended: %d succeeded, %d failed, %d lost; %d running", s.Tasks, s.Successes, s.Failures, s.Lost, n.RunningTasks),
		"worked", millis(s.WorkMs),
	}
	if err := fields(w, append(about, v.standing()...)...); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	d, m := n.Declared, n.Measured
	if err := table(w, [][]string{
		{"", "DECLARED", "MEASURED", ""},
		{"one core", num(d.CpuSingle), num(m.CpuSingle), "squarings/s"}, {"all cores", num(d.CpuAll), num(m.CpuAll), "squarings/s"},
		{"memory", num(d.MemoryMib), num(m.MemoryMib), "MiB"}, {"memory speed", num(d.MemoryBandwidth), num(m.MemoryBandwidth), "MiB/s"},
		{"disk", num(d.DiskRead), num(m.DiskRead), "MiB/s"}, {"storage", num(d.StorageMib), num(m.StorageMib), "MiB"},
		{"round trip", "", num(m.RttUs), "µs"}, {"bandwidth", "", bandwidthText(m.BandwidthKbit), "Mbit/s"},
	}); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	c, r, p := n.Capacity, n.Reserved, n.Prices
	if err := table(w, [][]string{
		{"", "OFFERED", "RESERVED", "", "PRICE AN HOUR"},
		{"cpu", num(c.CpuMilli), num(r.CpuMilli), "1/1000 vCPU", fog(p.Cpu)}, {"memory", num(c.MemoryMib), num(r.MemoryMib), "MiB", fog(p.Memory) + " a GiB"},
		{"storage", num(c.StorageMib), num(r.StorageMib), "MiB", fog(p.Storage) + " a GiB"}, {"gpus", num(c.Gpus), num(r.Gpus), "", fog(p.Gpu)},
	}); err != nil {
		return err
	}
	return printOracles(w, v.Oracles)
}

// networkText is the grade of a node's network and what it rests on.
func networkText(n nodestypes.Node) string {
	if n.Network.RttUs == 0 {
		return "not graded yet: the oracles' pings say too little so far"
	}
	v := n.Network
	return fmt.Sprintf("grade %s: round trip %.1f ms, jitter %.1f ms, %.2f %% lost (as of %s)", n.Grade.Letter(),
		float64(v.RttUs)/1000, float64(v.JitterUs)/1000, float64(v.LossPpm)/10_000, when(v.Time))
}

// bandwidthText is kbit/s in Mbit/s.
func bandwidthText(kbit uint64) string {
	if kbit == 0 {
		return "not measured"
	}
	return fmt.Sprintf("%d.%d", kbit/1000, kbit/100%10)
}

func num(v uint64) string { return fmt.Sprint(v) }
