package cmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/classify"
	rowtable "github.com/foggrid/fogd/offchain/classify/table"
)

// fitFlags of `fog classify fit`.
type fitFlags struct {
	table                  tableFlags
	algorithm, k           string
	covariance             string
	seed                   uint64
	starts, iterations     int
	criterion, scale       string
	logs                   []string
	warm                   string
	labels, model, integer string
}

func newClassifyFitCmd(a *app) *cobra.Command {
	var f fitFlags
	c := &cobra.Command{
		Use: "fit --input FILE", Short: "Fit k-means or a Gaussian mixture", Args: cobra.NoArgs,
		Long: `fit finds the classes of rows of numbers, by k-means or by EM for a Gaussian mixture. The same seed gives the same bits on every machine.

Empty values are missing: they are integrated out, not dropped. With --k auto the number of classes is that of the least BIC (or ICL). With
--scale robust columns are put on one scale by median and interquartile range, clipped at 4 of these, those of --log after log1p.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.classifyFit(cmd.Context(), f) },
	}
	fl := c.Flags()
	f.table.add(fl)
	fl.StringVar(&f.algorithm, "algorithm", "gmm", "kmeans or gmm")
	fl.StringVar(&f.k, "k", "auto", "number of classes, or auto")
	fl.StringVar(&f.covariance, "covariance", "full", "full, diag or tied (gmm)")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of all that is random")
	fl.IntVar(&f.starts, "starts", 0, "starts on a sample, of which the best go on (default 16)")
	fl.IntVar(&f.iterations, "iterations", 0, "most iterations over all rows (default 300 for kmeans, 200 for gmm)")
	fl.StringVar(&f.criterion, "criterion", "bic", "what chooses the number of classes: bic or icl (gmm)")
	fl.StringVar(&f.scale, "scale", "none", "none or robust")
	fl.StringSliceVar(&f.logs, "log", nil, "columns that are scaled after log1p")
	fl.StringVar(&f.warm, "warm", "", "file of a model to begin with, in place of starts; of the same columns and scaling")
	fl.StringVar(&f.labels, "labels", "", "file for the class of each row, one a line")
	fl.StringVar(&f.model, "model", "", "file for the model")
	fl.StringVar(&f.integer, "quantised", "", "file for the model in the integers of the chain (gmm with --scale robust)")
	return c
}

// fitView is what `fog classify fit` prints.
type fitView struct {
	Algorithm     string      `json:"algorithm"`
	Covariance    string      `json:"covariance,omitempty"`
	Rows          int         `json:"rows"`
	Dim           int         `json:"dim"`
	Seed          uint64      `json:"seed"`
	K             int         `json:"k"`
	Iterations    int         `json:"iterations"`
	Converged     bool        `json:"converged"`
	Inertia       *float64    `json:"inertia,omitempty"`
	LogLikelihood *float64    `json:"log_likelihood,omitempty"`
	BIC           float64     `json:"bic"`
	ICL           *float64    `json:"icl,omitempty"`
	CPUSeconds    float64     `json:"cpu_seconds"`
	WallSeconds   float64     `json:"wall_seconds"`
	PeakRSSBytes  int64       `json:"peak_rss_bytes"`
	Classes       []classView `json:"classes"`
	Parameters    parameters  `json:"parameters"`
}

// check finds mistakes in the flags before anything is read.
func (f *fitFlags) check() (k int, shape classify.Covariance, err error) {
	if f.algorithm != "kmeans" && f.algorithm != "gmm" {
		return 0, 0, usagef("--algorithm is %q; it must be kmeans or gmm", f.algorithm)
	}
	if k, err = kFlag(f.k); err != nil {
		return 0, 0, err
	}
	if shape, err = classify.ParseCovariance(f.covariance); err != nil {
		return 0, 0, usagef("--covariance: %w", err)
	}
	switch {
	case f.criterion != "bic" && f.criterion != "icl":
		return 0, 0, usagef("--criterion is %q; it must be bic or icl", f.criterion)
	case f.scale != "none" && f.scale != "robust":
		return 0, 0, usagef("--scale is %q; it must be none or robust", f.scale)
	case len(f.logs) > 0 && f.scale != "robust":
		return 0, 0, usagef("--log works with --scale robust; give that too")
	case f.integer != "" && (f.algorithm != "gmm" || f.scale != "robust"):
		return 0, 0, usagef("--quantised needs a mixture of scaled columns; give --algorithm gmm and --scale robust")
	case f.algorithm == "kmeans" && len(f.table.categories) > 0:
		return 0, 0, usagef("k-means knows no categories; leave --categories out, or give --algorithm gmm")
	case f.starts < 0 || f.iterations < 0:
		return 0, 0, usagef("--starts and --iterations must be above 0")
	case f.warm != "" && k == 0:
		return 0, 0, usagef("--warm begins with a number of classes; give it with --k")
	}
	return k, shape, nil
}

func (a *app) classifyFit(ctx context.Context, f fitFlags) error {
	begin := time.Now()
	k, shape, err := f.check()
	if err != nil {
		return err
	}
	// Nearly all memory is the rows: garbage beside them need not grow to their size.
	const percent = 5
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	rows, err := a.rows(ctx, &f.table, nil)
	if err != nil {
		return err
	}
	v := fitView{Algorithm: f.algorithm, Rows: rows.Rows, Dim: rows.Dim, Seed: f.seed}
	m := &modelFile{Format: modelFormat, Algorithm: f.algorithm, Columns: rows.Names}
	d := &rows.Data
	if f.scale == "robust" {
		if d, err = m.fitScaler(rows, f.logs); err != nil {
			return fmt.Errorf("%s: %w", f.table.input, err)
		}
	}
	src := classify.SplitMix64(f.seed)
	lines := a.ticker()
	ctx = classify.WithProgress(ctx, func(s classify.Step) {
		if lines.due() {
			lines.say("fitting %d classes to %d rows, pass %d", s.K, s.Rows, s.Pass+1)
		}
	})
	var labels []int32
	if f.algorithm == "kmeans" {
		labels, err = m.fitKMeans(ctx, d, f, k, &v, &src)
	} else {
		labels, err = m.fitGMM(ctx, d, f, k, shape, &v, &src)
	}
	lines.end()
	if err != nil {
		return err
	}
	v.Classes, v.Parameters = countClasses(labels, m.Profiles), m.Parameters
	if err := f.write(m, labels); err != nil {
		return err
	}
	use, err := usedByProcess()
	if err != nil {
		return err
	}
	v.CPUSeconds, v.PeakRSSBytes, v.WallSeconds = use.cpu.Seconds(), use.peakRSS, time.Since(begin).Seconds()
	return a.print(v, v.text)
}

// fitScaler scales the rows and keeps how.
func (m *modelFile) fitScaler(rows *rowtable.Table, logs []string) (*classify.Data, error) {
	var features []classify.Feature
	for _, name := range rows.Names {
		const floor, unit = 1e-3, 1 << 16
		features = append(features, classify.Feature{Name: name, Log: slices.Contains(logs, name), Floor: floor, Unit: unit})
	}
	for _, name := range logs {
		if !slices.Contains(rows.Names, name) {
			return nil, usagef("--log names %q, which is no column; there are %v", name, rows.Names)
		}
	}
	s, err := classify.FitScaler(&rows.Data, features)
	if err != nil {
		return nil, err
	}
	m.scaler = s
	for _, c := range s {
		m.Scaling = append(m.Scaling, scaling{c.Log, c.Center, c.Range})
	}
	return s.Apply(&rows.Data)
}

func (m *modelFile) fitKMeans(ctx context.Context, d *classify.Data, f fitFlags, k int, v *fitView, src classify.Source) ([]int32, error) {
	o := classify.KMeansOptions{K: k, Starts: f.starts, MaxIterations: f.iterations}
	if f.warm != "" {
		w, err := m.warm(f.warm)
		if err != nil {
			return nil, err
		}
		o.Centres = join(w.Parameters.Centres)
	}
	fit := func() (*classify.KMeans, error) {
		if k == 0 {
			return classify.ChooseKMeans(ctx, d, o, classify.Range{}, src)
		}
		return classify.FitKMeans(ctx, d, o, src)
	}
	r, err := fit()
	if err != nil {
		return nil, err
	}
	m.Parameters.Centres = cut(r.Centres, r.Dim)
	m.Profiles = make([]string, r.K)
	v.K, v.Iterations, v.Converged, v.Inertia, v.BIC = r.K, r.Iterations, r.Converged, &r.Inertia, r.BIC()
	return r.Labels, nil
}

func (m *modelFile) fitGMM(ctx context.Context, d *classify.Data, f fitFlags, k int, shape classify.Covariance, v *fitView, src classify.Source) ([]int32, error) {
	o := classify.GMMOptions{K: k, Covariance: shape, Starts: f.starts, MaxIterations: f.iterations}
	if f.scale == "robust" {
		o.Noise = classify.ScaledNoise
	}
	if f.warm != "" {
		w, err := m.warm(f.warm)
		if err != nil {
			return nil, err
		}
		if o.Warm, err = w.mixture(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.warm, err)
		}
	}
	fit := func() (*classify.GMM, error) {
		if k > 0 {
			return classify.FitGMM(ctx, d, o, src)
		}
		by := classify.BIC
		if f.criterion == "icl" {
			by = classify.ICL
		}
		return classify.ChooseGMM(ctx, d, o, by, classify.Range{}, src)
	}
	g, err := fit()
	if err != nil {
		return nil, err
	}
	m.Parameters = mixtureParameters(g.Mixture)
	m.Profiles = classify.Profiles(g.Mixture, m.Columns)
	v.Covariance, v.K, v.Iterations, v.Converged = shape.String(), g.K, g.Iterations, g.Converged
	v.LogLikelihood, v.BIC, v.ICL = &g.LogLikelihood, g.BIC, &g.ICL
	return g.Labels, nil
}

// warm reads the model that a fit begins with.
func (m *modelFile) warm(name string) (*modelFile, error) {
	w, err := readModel(name)
	if err != nil {
		return nil, err
	}
	if w.Algorithm != m.Algorithm || !slices.Equal(w.Columns, m.Columns) || len(w.Scaling) != len(m.Scaling) {
		return nil, usagef("%s is a model of another algorithm, other columns or another scaling; fit with those, or leave --warm out", name)
	}
	return w, nil
}

func (f *fitFlags) write(m *modelFile, labels []int32) error {
	if f.labels != "" {
		if err := writeLabels(f.labels, labels); err != nil {
			return err
		}
	}
	if f.model != "" {
		if err := m.save(f.model); err != nil {
			return err
		}
	}
	if f.integer == "" {
		return nil
	}
	g, err := m.mixture()
	if err != nil {
		return err
	}
	ids := make([]uint32, g.K)
	for i := range ids {
		ids[i] = uint32(i)
	}
	q, err := classify.Quantise(g, m.scaler, ids, m.Profiles)
	if err != nil {
		return err
	}
	b, err := q.Encode()
	if err != nil {
		return err
	}
	return writeFile(f.integer, func(w *bufio.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func (v *fitView) text(w io.Writer) error {
	number := func(x *float64) string {
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(*x, 'f', 5, 64)
	}
	if err := fields(w, "algorithm", v.Algorithm, "covariance", v.Covariance, "rows", strconv.Itoa(v.Rows), "classes", strconv.Itoa(v.K),
		"iterations", strconv.Itoa(v.Iterations), "inertia", number(v.Inertia), "log-likelihood a row", number(v.LogLikelihood),
		"BIC", number(&v.BIC), "ICL", number(v.ICL), "CPU", fmt.Sprintf("%.2f s", v.CPUSeconds), "time", fmt.Sprintf("%.2f s", v.WallSeconds),
		"peak memory", size(v.PeakRSSBytes)); err != nil {
		return err
	}
	return classTable(w, v.Classes)
}
