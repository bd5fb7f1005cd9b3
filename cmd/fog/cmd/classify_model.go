package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/foggrid/fogd/offchain/classify"
	"github.com/foggrid/fogd/offchain/classify/quant"
	rowtable "github.com/foggrid/fogd/offchain/classify/table"
)

const modelFormat = "fog-classify/1"

// modelFile is a fitted model as it is kept in a file.
type modelFile struct {
	Format     string       `json:"format"`
	Algorithm  string       `json:"algorithm"`
	Columns    []string     `json:"columns"`
	Scaling    []scaling    `json:"scaling,omitempty"`
	Parameters parameters   `json:"parameters"`
	Profiles   []string     `json:"profiles"`
	integers   *quant.Model // in place of all others
	scaler     classify.Scaler
}

// scaling of a column.
type scaling struct {
	Log    bool    `json:"log,omitempty"`
	Center float64 `json:"center"`
	Range  float64 `json:"range"`
}

// parameters of a k-means model (centres) or a mixture (all else).
type parameters struct {
	Centres     [][]float64         `json:"centres,omitempty"`
	Covariance  string              `json:"covariance,omitempty"`
	Weights     []float64           `json:"weights,omitempty"`
	Means       [][]float64         `json:"means,omitempty"`
	Covariances [][]float64         `json:"covariances,omitempty"` // the lower triangle by rows, or the variances
	Categories  []categoryParameter `json:"categories,omitempty"`
}

type categoryParameter struct {
	Name          string      `json:"name"`
	Levels        []string    `json:"levels"`
	Probabilities [][]float64 `json:"probabilities"`
}

// cut is values in rows of n.
func cut(values []float64, n int) [][]float64 {
	var rows [][]float64
	for ; len(values) > 0; values = values[n:] {
		rows = append(rows, values[:n])
	}
	return rows
}

func join(rows [][]float64) []float64 {
	var values []float64
	for _, r := range rows {
		values = append(values, r...)
	}
	return values
}

func mixtureParameters(m *classify.Mixture) parameters {
	size := m.Dim
	if m.Covariance != classify.Diagonal {
		size = m.Dim * (m.Dim + 1) / 2
	}
	p := parameters{
		Covariance: m.Covariance.String(), Weights: m.Weights, Means: cut(m.Means, m.Dim), Covariances: cut(m.Covariances, size),
	}
	for _, c := range m.Categories {
		p.Categories = append(p.Categories, categoryParameter{c.Name, c.Levels, cut(c.P, len(c.Levels))})
	}
	return p
}

// mixture is the model's, if it is one.
func (f *modelFile) mixture() (*classify.Mixture, error) {
	p := &f.Parameters
	shape, err := classify.ParseCovariance(p.Covariance)
	if err != nil {
		return nil, err
	}
	m := &classify.Mixture{
		Covariance: shape, K: len(p.Weights), Dim: len(f.Columns), Weights: p.Weights, Means: join(p.Means), Covariances: join(p.Covariances),
	}
	for _, c := range p.Categories {
		m.Categories = append(m.Categories, classify.CategoryParameter{Name: c.Name, Levels: c.Levels, P: join(c.Probabilities)})
	}
	return m, m.Validate()
}

// kmeans is the model's partition, if it is one.
func (f *modelFile) kmeans() (*classify.KMeans, error) {
	m := &classify.KMeans{K: len(f.Parameters.Centres), Dim: len(f.Columns), Centres: join(f.Parameters.Centres)}
	if m.K < 1 || m.Dim < 1 || len(m.Centres) != m.K*m.Dim {
		return nil, fmt.Errorf("%d values are no %d centres of %d columns", len(m.Centres), m.K, m.Dim)
	}
	return m, nil
}

func (f *modelFile) save(name string) error {
	return writeFile(name, func(w *bufio.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(f)
	})
}

func readModel(name string) (*modelFile, error) {
	if name == "" {
		return nil, usagef("which model? give --model with a file that `fog classify fit --model` wrote")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, hint(err, "write the model with `fog classify fit --model %s`", name)
	}
	f, err := parseModel(b)
	if err != nil {
		return nil, hint(fmt.Errorf("%s: %w", name, err), "fit it anew with `fog classify fit --model %s`", name)
	}
	return f, nil
}

func parseModel(b []byte) (*modelFile, error) {
	f := &modelFile{}
	if bytes.HasPrefix(b, []byte("fogclass")) {
		q, err := quant.Decode(b)
		if err != nil {
			return nil, err
		}
		f.integers = q
		for _, feature := range q.Features {
			f.Columns = append(f.Columns, feature.Name)
		}
		for _, c := range q.Categories {
			f.Parameters.Categories = append(f.Parameters.Categories, categoryParameter{Name: c.Name, Levels: c.Levels})
		}
		for _, c := range q.Components {
			f.Profiles = append(f.Profiles, c.Name)
		}
		return f, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return nil, err
	}
	if f.Format != modelFormat {
		return nil, fmt.Errorf("the format is %q and this program reads %q", f.Format, modelFormat)
	}
	if len(f.Scaling) > 0 && len(f.Scaling) != len(f.Columns) {
		return nil, fmt.Errorf("%d columns have %d scalings", len(f.Columns), len(f.Scaling))
	}
	for i, s := range f.Scaling {
		if !(s.Range > 0) {
			return nil, fmt.Errorf("column %q has range %g; it must be above 0", f.Columns[i], s.Range)
		}
		f.scaler = append(f.scaler, classify.Scaled{Feature: classify.Feature{Name: f.Columns[i], Log: s.Log}, Center: s.Center, Range: s.Range})
	}
	k := len(f.Parameters.Weights)
	switch f.Algorithm {
	case "gmm":
		if _, err := f.mixture(); err != nil {
			return nil, err
		}
	case "kmeans":
		m, err := f.kmeans()
		if err != nil {
			return nil, err
		}
		k = m.K
	default:
		return nil, fmt.Errorf("the algorithm is %q; it must be kmeans or gmm", f.Algorithm)
	}
	if len(f.Profiles) != k {
		return nil, fmt.Errorf("%d classes have %d profiles", k, len(f.Profiles))
	}
	return f, nil
}

// rowsOf reads rows with the model's columns.
func (a *app) rowsOf(ctx context.Context, f *modelFile, t *tableFlags) (*rowtable.Table, error) {
	var levels [][]string
	csv := *t
	if len(csv.columns) == 0 && len(csv.categories) == 0 && csv.dim == 0 {
		csv.columns = f.Columns
		levels = [][]string{}
		for _, c := range f.Parameters.Categories {
			csv.categories = append(csv.categories, c.Name)
			levels = append(levels, c.Levels)
		}
	}
	return a.rows(ctx, &csv, levels)
}

// scaled is the rows in the model's scale.
func (f *modelFile) scaled(rows *rowtable.Table) (*classify.Data, error) {
	if len(f.scaler) == 0 {
		return &rows.Data, nil
	}
	return f.scaler.Apply(&rows.Data)
}

func (f *modelFile) predict(rows *rowtable.Table) (prediction, []uint32, error) {
	if f.integers != nil {
		return f.predictIntegers(rows)
	}
	v := prediction{Rows: rows.Rows, K: len(f.Profiles)}
	d, err := f.scaled(rows)
	if err != nil {
		return v, nil, err
	}
	var labels []int32
	if f.Algorithm == "kmeans" {
		m, err := f.kmeans()
		if err != nil {
			return v, nil, err
		}
		if labels, err = m.Predict(d); err != nil {
			return v, nil, err
		}
	} else {
		m, err := f.mixture()
		if err != nil {
			return v, nil, err
		}
		s, err := m.Score(d, false)
		if err != nil {
			return v, nil, err
		}
		labels, v.LogLikelihood = s.Labels, &s.LogLikelihood
	}
	v.Classes = countClasses(labels, f.Profiles)
	out := make([]uint32, len(labels))
	for i, l := range labels {
		out[i] = uint32(l)
	}
	return v, out, nil
}

// predictIntegers classifies as the chain's readers do.
func (f *modelFile) predictIntegers(rows *rowtable.Table) (prediction, []uint32, error) {
	q := f.integers
	v := prediction{Rows: rows.Rows, K: len(q.Components)}
	for _, c := range q.Components {
		v.Classes = append(v.Classes, classView{Class: c.ID, Profile: c.Name})
	}
	if rows.Dim != len(q.Features) || len(rows.Categories) != len(q.Categories) {
		return v, nil, fmt.Errorf("the rows have %d columns and %d categories and the model %d and %d; give the columns that it was fitted on", rows.Dim,
			len(rows.Categories), len(q.Features), len(q.Categories))
	}
	labels := make([]uint32, rows.Rows)
	values, levels := make([]int64, rows.Dim), make([]int, len(q.Categories))
	for i := range labels {
		for j := range values {
			values[j] = quant.Missing
			if x := rows.X[i*rows.Dim+j] * float64(q.Features[j].Unit); x == x {
				values[j] = int64(math.RoundToEven(max(-1<<62, min(1<<62, x))))
			}
		}
		for j := range levels {
			levels[j] = int(rows.Categories[j].Values[i])
		}
		r, err := q.Classify(values, levels)
		if err != nil {
			return v, nil, err
		}
		labels[i] = r.Class
		v.Classes[r.Index].Rows++
	}
	return v, labels, nil
}
