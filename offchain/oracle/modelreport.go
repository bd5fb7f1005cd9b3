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
	// enoughForFull rows carry all the covariances; of fewer nodes the variances alone may tell more.
	enoughForFull = 5_000
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
		CPUSingle: n.Measured.CpuSingle, CPUAll: n.Measured.CpuAll, Memory: n.Measured.MemoryBandwidth, RTT: n.Measured.RttUs,
		Successes: n.Rating.Successes / nodestypes.RatingOne, Tasks: n.Rating.Trials / nodestypes.RatingOne,
		StorageType: n.Hardware.StorageType.String(), Arch: n.Hardware.Arch,
	}
}

// fit makes the report that a proposer gives. Its numbers are the proposer's own affair: the others compare them with theirs.
func (p *population) fit(ctx context.Context, src classify.Source) (nodestypes.ModelReport, error) {
	none := nodestypes.ModelReport{}
	if len(p.nodes) < 2 {
		return none, fmt.Errorf("%w: %d nodes are no population", errAbstain, len(p.nodes))
	}
	raw, err := p.table.Data(p.features)
	if err != nil {
		return none, err
	}
	scaler, err := classify.FitScaler(raw, p.features)
	if err != nil {
		return none, err
	}
	data, err := scaler.Apply(raw)
	if err != nil {
		return none, err
	}
	gmm, err := p.mixture(ctx, data, src)
	if err != nil {
		return none, err
	}
	temporary := make([]uint32, gmm.K)
	for i := range temporary {
		temporary[i] = uint32(i) + 1
	}
	model, err := classify.Quantise(gmm.Mixture, scaler, temporary, make([]string, gmm.K))
	if err != nil {
		return none, err
	}
	next, err := p.name(model)
	if err != nil {
		return none, err
	}
	return p.report(model, next)
}

// mixture refits the last model where it ended, or chooses the number of classes anew.
func (p *population) mixture(ctx context.Context, data *classify.Data, src classify.Source) (*classify.GMM, error) {
	if p.before != nil && p.version%chooseEvery != 0 {
		last, err := quant.Decode(p.before.Encoded)
		if err != nil {
			return nil, err
		}
		warm, _, err := classify.Dequantise(last)
		if err != nil {
			return nil, err
		}
		options := classify.GMMOptions{K: warm.K, Covariance: warm.Covariance, Warm: warm}
		if gmm, err := classify.FitGMM(ctx, data, options, src); err == nil {
			return gmm, nil
		}
		// What the nodes have in common has changed so much that the last model does not fit the table any more.
	}
	var best *classify.GMM
	for _, covariance := range []classify.Covariance{classify.Diagonal, classify.Full} {
		if covariance == classify.Diagonal && data.Rows > enoughForFull {
			continue
		}
		gmm, err := classify.ChooseGMM(ctx, data, classify.GMMOptions{Covariance: covariance}, classify.ICL,
			classify.Range{To: min(mostClasses, data.Rows/4+1)}, src)
		if err != nil {
			return nil, err
		}
		if best == nil || gmm.ICL < best.ICL {
			best = gmm
		}
	}
	return best, nil
}

// members classifies all nodes.
func (p *population) members(model *quant.Model) ([]quant.Result, error) {
	out := make([]quant.Result, len(p.nodes))
	levels := make([]int, len(p.table.Categories))
	for i := range p.nodes {
		for c, category := range p.table.Categories {
			levels[c] = int(category.Values[i])
		}
		var err error
		if out[i], err = model.Classify(p.table.Values[i*p.table.Dim:(i+1)*p.table.Dim], levels); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// name gives the components the ids that follow from who was in which class, and their profiles. It returns the first id not in use.
func (p *population) name(model *quant.Model) (uint32, error) {
	results, err := p.members(model)
	if err != nil {
		return 0, err
	}
	before, after, next := make([]uint32, len(p.nodes)), make([]int32, len(p.nodes)), uint32(1)
	for i, n := range p.nodes {
		before[i], after[i] = n.Class, int32(results[i].Index)
	}
	if p.before != nil {
		next = p.before.NextClass
	}
	ids, next := classify.Identities(before, after, len(model.Components), next)
	mixture, _, err := classify.Dequantise(model)
	if err != nil {
		return 0, err
	}
	names := make([]string, len(p.features))
	for i, f := range p.features {
		names[i] = f.Name
	}
	profiles := classify.Profiles(mixture, names)
	for i := range model.Components {
		model.Components[i].ID, model.Components[i].Name = ids[i], profiles[i]
	}
	return next, nil
}

// report is a named model with the moves that follow from it.
func (p *population) report(model *quant.Model, next uint32) (nodestypes.ModelReport, error) {
	report := nodestypes.ModelReport{Version: p.version, Height: p.height, NextClass: next}
	var err error
	if report.Model, err = model.Encode(); err != nil {
		return report, err
	}
	for _, c := range model.Components {
		report.Classes = append(report.Classes, nodestypes.Class{Id: c.ID, Profile: c.Name})
	}
	slices.SortFunc(report.Classes, func(a, b nodestypes.Class) int { return cmp.Compare(a.Id, b.Id) })
	report.Moves, err = p.moves(model)
	return report, err
}

// moves are the nodes whose membership changes under a model: the first by index, as many as a report may hold.
func (p *population) moves(model *quant.Model) ([]nodestypes.ClassMove, error) {
	results, err := p.members(model)
	if err != nil {
		return nil, err
	}
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
	return moves, nil
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
	next, err := p.name(model)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	ours, err := p.report(model, next)
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
