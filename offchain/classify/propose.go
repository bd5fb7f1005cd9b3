package classify

import (
	"context"
	"fmt"
	"math"

	"github.com/foggrid/fogd/offchain/classify/quant"
)

// Last is what a refit goes on from.
type Last struct {
	Model   *quant.Model
	Classes []uint32 // of each row of the table, its class under that model; 0: none
	Next    uint32   // the first class id that was never used
}

// Proposal is a model of a table, ready for the chain.
type Proposal struct {
	Model         *quant.Model
	Encoded       []byte
	Hash          [32]byte // of Encoded: the claim
	Results       []quant.Result
	Next          uint32 // as in Last, for the model after this one
	Fresh         bool   // whether the number of classes was chosen anew
	LogLikelihood float64
}

// ProposeOptions say how a model is made; the zero value of a field is its default.
type ProposeOptions struct {
	Classes Range // the numbers of classes to choose from: 1 to 16
	Fresh   bool  // choose the number of classes and the scaling anew even if the last model still serves
}

// Propose fits the classes of a table. From a last model it refits: the same scaling and number of components, EM from where they are. It begins anew without one, when the
// columns' medians and ranges have drifted from its scaling, or when a component has lost its rows; then ICL chooses the number and whether the covariances are
// diagonal. Classes keep
// their ids, by Name.
func Propose(ctx context.Context, t *Integers, features []Feature, last *Last, o ProposeOptions, src Source) (*Proposal, error) {
	raw, err := t.Data(features)
	if err != nil {
		return nil, err
	}
	scaler, err := FitScaler(raw, features)
	if err != nil {
		return nil, err
	}
	if last == nil {
		last = &Last{Classes: make([]uint32, t.Rows)}
	}
	if len(last.Classes) != t.Rows {
		return nil, fmt.Errorf("the last classes are those of %d rows and the table has %d; give one for each row, 0 where there is none", len(last.Classes), t.Rows)
	}
	var g *GMM
	p := &Proposal{Fresh: o.Fresh || last.Model == nil}
	if !p.Fresh {
		var kept Scaler
		if g, kept, err = refit(ctx, raw, t.Categories, features, scaler, last.Model, src); err != nil {
			return nil, err
		}
		if p.Fresh = g == nil; g != nil {
			scaler = kept
		}
	}
	if p.Fresh {
		const most = 16
		if o.Classes.To == 0 {
			o.Classes.To = max(most, o.Classes.From)
		}
		scaled, err := scaler.Apply(raw)
		if err != nil {
			return nil, err
		}
		for _, shape := range []Covariance{Diagonal, Full} { // few rows do not carry all the covariances
			h, err := ChooseGMM(ctx, scaled, GMMOptions{Covariance: shape, Noise: ScaledNoise}, ICL, o.Classes, src)
			if err != nil {
				return nil, err
			}
			if g == nil || h.ICL < g.ICL {
				g = h
			}
		}
	}
	temporary, names := make([]uint32, g.K), make([]string, g.K)
	for i := range temporary {
		temporary[i] = uint32(i)
	}
	p.LogLikelihood = g.LogLikelihood
	if p.Model, err = Quantise(g.Mixture, scaler, temporary, names); err != nil {
		return nil, err
	}
	if p.Results, p.Next, err = Name(p.Model, t, last.Classes, last.Next); err != nil {
		return nil, err
	}
	if p.Encoded, err = p.Model.Encode(); err != nil {
		return nil, err
	}
	p.Hash = quant.Hash(p.Encoded)
	return p, nil
}

// Name gives the components of a model the ids (Identities) and names (Profiles) that follow from the model itself, the rows and their last classes, so that whoever
// has these can check them. It returns where the rows belong and the next id that was never used.
func Name(q *quant.Model, t *Integers, before []uint32, next uint32) ([]quant.Result, uint32, error) {
	results, err := ClassifyRows(q, t)
	if err != nil {
		return nil, 0, err
	}
	if len(before) != len(results) {
		return nil, 0, fmt.Errorf("the last classes are those of %d rows and the table has %d; give one for each row, 0 where there is none", len(before), len(results))
	}
	after := make([]int32, len(results))
	for i, r := range results {
		after[i] = int32(r.Index)
	}
	ids, next := Identities(before, after, len(q.Components), next)
	m, s, err := Dequantise(q)
	if err != nil {
		return nil, 0, err
	}
	features := make([]string, len(s))
	for i, f := range s {
		features[i] = f.Name
	}
	for i, profile := range Profiles(m, features) {
		q.Components[i].ID, q.Components[i].Name = ids[i], cutName(profile)
	}
	for i := range results {
		results[i].Class = ids[results[i].Index]
	}
	return results, next, nil
}

// refit is EM from the last model, or nil if that is no place to begin.
func refit(ctx context.Context, raw *Data, categories []Category, features []Feature, now Scaler, last *quant.Model, src Source) (*GMM, Scaler, error) {
	if differs(last, features, categories) != "" {
		return nil, nil, nil
	}
	m, kept, err := Dequantise(last)
	if err != nil || m.K > raw.Rows || drifted(kept, now, centerSlack/2, math.Sqrt(rangeSlack)) >= 0 {
		return nil, nil, nil // whatever is wrong with the old model, a new one needs nothing of it
	}
	scaled, err := kept.Apply(raw)
	if err != nil {
		return nil, nil, err
	}
	g, err := FitGMM(ctx, scaled, GMMOptions{K: m.K, Covariance: m.Covariance, Noise: ScaledNoise, Warm: m}, src)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]int, g.K)
	for _, c := range g.Labels {
		rows[c]++
	}
	for _, n := range rows {
		if n == 0 {
			return nil, nil, nil
		}
	}
	return g, kept, nil
}

// drifted is the first feature whose scaling differs from the other by more than slack of its range, or by more than the ratio; -1 if there is none.
func drifted(s, other Scaler, slack, ratio float64) int {
	for i := range other {
		r := s[i].Range / other[i].Range
		if !(math.Abs(s[i].Center-other[i].Center) <= float64(slack*other[i].Range) && r < ratio && r > 1/ratio) {
			return i
		}
	}
	return -1
}

// ClassifyRows classifies all rows of a table by the integer model. An error says how the rows do not fit it.
func ClassifyRows(q *quant.Model, t *Integers) ([]quant.Result, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	out := make([]quant.Result, t.Rows)
	levels := make([]int, len(t.Categories))
	for i := range out {
		for j, c := range t.Categories {
			levels[j] = int(c.Values[i])
		}
		var err error
		if out[i], err = q.Classify(t.Values[i*t.Dim:(i+1)*t.Dim], levels); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return out, nil
}
