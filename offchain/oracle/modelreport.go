package oracle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/foggrid/fogd/offchain/classify"
	"github.com/foggrid/fogd/offchain/classify/quant"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	// mostClasses are tried for a model.
	mostClasses = 16
	// chooseEvery so many versions the number of classes is chosen anew; between them the last model is only refitted.
	chooseEvery = 24
	// nodesPerClass at least, or a class is but a few machines that happen to be alike.
	nodesPerClass = 8
)

// population is what a model is fitted to: the nodes of one height and the model that they were classified by.
type population struct {
	version  uint64
	height   int64
	nodes    []nodestypes.Node // by index
	before   *nodestypes.Model // nil before the first
	table    *classify.Integers
	features []classify.Feature
}

// newPopulation takes the nodes that a class says something about: those that were measured and can work again.
func newPopulation(version uint64, height int64, nodes []nodestypes.Node, before *nodestypes.Model) *population {
	p := &population{version: version, height: height, before: before, features: classify.NodeFeatures()}
	for _, n := range nodes {
		if n.Index != 0 && n.Status.Live() && n.Measured.CpuSingle > 0 {
			p.nodes = append(p.nodes, n)
		}
	}
	slices.SortFunc(p.nodes, func(a, b nodestypes.Node) int { return cmp.Compare(a.Index, b.Index) })
	rows := make([]classify.Node, len(p.nodes))
	for i, n := range p.nodes {
		rows[i] = featuresOf(n)
	}
	p.table = classify.Nodes(rows)
	return p
}

// featuresOf is what the chain knows of a node, as far as classes go by it.
func featuresOf(n nodestypes.Node) classify.Node {
	price, err := nodestypes.TaskHourPrice(n.Prices, n.Capacity)
	if err != nil { // more than there are numbers
		price = math.MaxInt64
	}
	return classify.Node{
		MemoryMiB: n.Capacity.MemoryMib, StorageMiB: n.Capacity.StorageMib, Price: min(price, math.MaxInt64),
		CPUSingle: n.Measured.CpuSingle, CPUAll: n.Measured.CpuAll, Memory: n.Measured.MemoryBandwidth,
		Bandwidth: n.Measured.BandwidthKbit, RTT: uint64(roundTrip(n)), Jitter: uint64(n.Network.JitterUs), Loss: uint64(n.Network.LossPpm),
		Successes: n.Rating.Successes / nodestypes.RatingOne, Tasks: n.Rating.Trials / nodestypes.RatingOne,
		StorageType: storageTypes[n.Hardware.StorageType], Arch: n.Hardware.Arch,
	}
}

// fit makes the report that a proposer gives. Its numbers are the proposer's own affair: the others compare them with theirs.
func (p *population) fit(ctx context.Context, src classify.Source) (nodestypes.ModelReport, error) {
	none := nodestypes.ModelReport{}
	if len(p.nodes) == 0 {
		return none, fmt.Errorf("%w: no node to fit a model to", errAbstain)
	}
	last, err := p.last()
	if err != nil {
		return none, err
	}
	options := classify.ProposeOptions{
		Classes: classify.Range{To: min(mostClasses, len(p.nodes)/nodesPerClass+1)}, Fresh: p.version%chooseEvery == 0,
	}
	proposal, err := classify.Propose(ctx, p.table, p.features, last, options, src)
	if err != nil {
		return none, err
	}
	return p.report(proposal.Model, proposal.Results, proposal.Next)
}

// last is what a refit goes on from.
func (p *population) last() (*classify.Last, error) {
	last := &classify.Last{Next: 1}
	for _, n := range p.nodes {
		last.Classes = append(last.Classes, n.Class)
	}
	if p.before == nil {
		return last, nil
	}
	last.Next = p.before.NextClass
	var err error
	last.Model, err = quant.Decode(p.before.Encoded)
	return last, err
}

// report is a named model with where it puts the nodes, and the moves that follow.
func (p *population) report(model *quant.Model, results []quant.Result, next uint32) (nodestypes.ModelReport, error) {
	report := nodestypes.ModelReport{Version: p.version, Height: p.height, NextClass: next}
	var err error
	if report.Model, err = model.Encode(); err != nil {
		return report, err
	}
	for _, c := range model.Components {
		report.Classes = append(report.Classes, nodestypes.Class{Id: c.ID, Profile: c.Name})
	}
	slices.SortFunc(report.Classes, func(a, b nodestypes.Class) int { return cmp.Compare(a.Id, b.Id) })
	report.Moves = p.moves(model, results)
	return report, nil
}

// moves are the nodes whose membership changes under a model: the first by index, as many as a report may hold.
func (p *population) moves(model *quant.Model, results []quant.Result) []nodestypes.ClassMove {
	exists := func(class uint32) bool {
		return slices.ContainsFunc(model.Components, func(c quant.Component) bool { return c.ID == class })
	}
	var moves []nodestypes.ClassMove
	moved := 0
	for i, n := range p.nodes {
		was := classify.Membership{Class: n.Class, Candidate: n.ClassCandidate}
		is := was.Next(results[i], exists)
		if is == was {
			continue
		}
		if moved++; moved > nodestypes.MaxClassMoves {
			break
		}
		at := slices.IndexFunc(moves, func(m nodestypes.ClassMove) bool { return m.Class == is.Class && m.Candidate == is.Candidate })
		if at < 0 {
			at = len(moves)
			moves = append(moves, nodestypes.ClassMove{Class: is.Class, Candidate: is.Candidate})
		}
		moves[at].Nodes = append(moves[at].Nodes, n.Index)
	}
	slices.SortFunc(moves, func(a, b nodestypes.ClassMove) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Candidate, b.Candidate))
	})
	return moves
}

// errRefused says what is wrong with a proposed model.
var errRefused = errors.New("refused")

// check tells whether a report can be voted for: the model explains the nodes as well as one's own fit, the rest follows from it.
func (p *population) check(ctx context.Context, body []byte, src classify.Source) error {
	if err := nodestypes.ValidateModelBody(nodestypes.EncodeModelSubject(p.version, p.height), body); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	report, err := nodestypes.DecodeModelBody(body)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	model, err := quant.Decode(report.Model)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	last, err := p.last()
	if err != nil {
		return err
	}
	results, next, err := classify.Name(model, p.table, last.Classes, last.Next)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	ours, err := p.report(model, results, next)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	again, err := ours.Marshal()
	if err != nil {
		return err
	}
	if string(again) != string(body) {
		return fmt.Errorf("%w: ids, profiles or moves do not follow from the model and the nodes", errRefused)
	}
	verdict, err := classify.Judge(ctx, model, p.table, p.features, nil, src)
	if err != nil {
		return fmt.Errorf("judge the model: %w", err)
	}
	if !verdict.Accept {
		return fmt.Errorf("%w: %s", errRefused, verdict.Reason)
	}
	return nil
}
