package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/foggrid/fogd/offchain/classify"
	rowtable "github.com/foggrid/fogd/offchain/classify/table"
)

func newClassifyCmd(a *app) *cobra.Command {
	return group("classify", "Sort machines, or any rows of numbers, into classes", newClassifyFitCmd(a), newClassifyPredictCmd(a), newClassifyPlotCmd(a))
}

// tableFlags say which rows are read.
type tableFlags struct {
	input               string
	dim                 int
	columns, categories []string
}

func (t *tableFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.input, "input", "", "the rows: FILE.csv, or FILE.f64 with little-endian float64 values")
	f.IntVar(&t.dim, "dim", 0, "values a row of an .f64 file")
	f.StringSliceVar(&t.columns, "columns", nil, "columns of numbers of a .csv file (default: all that are not categories)")
	f.StringSliceVar(&t.categories, "categories", nil, "columns of a .csv file that hold words")
}

// rows reads the rows, for as long as ctx lasts, and shows how far it is; levels are those of the categories of a model, if there is one.
func (a *app) rows(ctx context.Context, t *tableFlags, levels [][]string) (_ *rowtable.Table, err error) {
	csv := strings.HasSuffix(t.input, ".csv")
	switch {
	case t.input == "":
		return nil, usagef("which rows? give --input FILE.csv, or --input FILE.f64 with --dim")
	case !csv && !strings.HasSuffix(t.input, ".f64"):
		return nil, usagef("--input is %q; it must end in .csv or .f64", t.input)
	case !csv && t.dim == 0:
		return nil, usagef("how many values has a row of %s? give --dim", t.input)
	case !csv && len(t.columns)+len(t.categories) > 0:
		return nil, usagef("an .f64 file has no columns with names; leave --columns and --categories out")
	}
	f, err := os.Open(t.input)
	if err != nil {
		return nil, hint(err, "give the file's name with --input")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	screen := a.bars()
	defer screen.end()
	in := &watchedReader{ctx: ctx, r: f, size: info.Size(), bar: screen.bytes("reading")}
	var rows *rowtable.Table
	if csv {
		rows, err = rowtable.ReadCSV(bufio.NewReaderSize(in, 1<<16), rowtable.Columns{Numbers: t.columns, Categories: t.categories, Levels: levels})
	} else {
		rows, err = rowtable.ReadF64(in, info.Size(), t.dim)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.input, err)
	}
	return rows, nil
}

// watchedReader reads until its context ends, and moves a bar if there is one.
type watchedReader struct {
	ctx        context.Context
	r          io.Reader
	done, size int64
	bar        func(done, total int64)
}

func (w *watchedReader) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	n, err := w.r.Read(p)
	if w.done += int64(n); w.bar != nil {
		w.bar(w.done, w.size)
	}
	return n, err
}

// writeFile creates a file and fills it.
func writeFile(name string, write func(w *bufio.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return hint(err, "give a file in a folder that exists")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// writeLabels writes one label a line.
func writeLabels[T int32 | uint32](name string, labels []T) error {
	return writeFile(name, func(w *bufio.Writer) error {
		var line []byte
		for _, l := range labels {
			line = append(strconv.AppendInt(line[:0], int64(l), 10), '\n')
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// predictFlags of `fog classify predict`.
type predictFlags struct {
	table         tableFlags
	model, labels string
}

func newClassifyPredictCmd(a *app) *cobra.Command {
	var f predictFlags
	c := &cobra.Command{
		Use: "predict --model FILE --input FILE", Short: "Find the classes of rows under a fitted model", Args: cobra.NoArgs,
		Long: `predict puts each row into its likeliest class (k-means: the nearest centre).

The model is what "fog classify fit --model" wrote, or the integers of "fit --quantised", as they go on chain.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.classifyPredict(cmd.Context(), f) },
	}
	f.table.add(c.Flags())
	c.Flags().StringVar(&f.model, "model", "", "file of the model")
	c.Flags().StringVar(&f.labels, "labels", "", "file for the class of each row, one a line")
	return c
}

// prediction is what `fog classify predict` prints.
type prediction struct {
	Rows          int         `json:"rows"`
	K             int         `json:"k"`
	LogLikelihood *float64    `json:"log_likelihood,omitempty"`
	Classes       []classView `json:"classes"`
}

// classView is a class with its rows.
type classView struct {
	Class   uint32 `json:"class"`
	Profile string `json:"profile,omitempty"`
	Rows    int    `json:"rows"`
}

func (a *app) classifyPredict(ctx context.Context, f predictFlags) error {
	m, err := readModel(f.model)
	if err != nil {
		return err
	}
	rows, err := a.rowsOf(ctx, m, &f.table)
	if err != nil {
		return err
	}
	v, labels, err := m.predict(rows)
	if err != nil {
		return fmt.Errorf("%s: %w", f.table.input, err)
	}
	if f.labels != "" {
		if err := writeLabels(f.labels, labels); err != nil {
			return err
		}
	}
	return a.print(v, func(w io.Writer) error {
		if v.LogLikelihood != nil {
			if err := fields(w, "log-likelihood a row", fmt.Sprintf("%.5f", *v.LogLikelihood)); err != nil {
				return err
			}
		}
		return classTable(w, v.Classes)
	})
}

func classTable(w io.Writer, classes []classView) error {
	rows := [][]string{{"CLASS", "ROWS", "PROFILE"}}
	for _, c := range classes {
		rows = append(rows, []string{strconv.FormatUint(uint64(c.Class), 10), strconv.Itoa(c.Rows), c.Profile})
	}
	return table(w, rows)
}

// countClasses is how many rows have each label below k.
func countClasses(labels []int32, profiles []string) []classView {
	v := make([]classView, len(profiles))
	for i := range v {
		v[i] = classView{Class: uint32(i), Profile: profiles[i]}
	}
	for _, l := range labels {
		v[l].Rows++
	}
	return v
}

// kFlag is a number of classes, 0 for auto.
func kFlag(s string) (int, error) {
	if s == "auto" {
		return 0, nil
	}
	k, err := strconv.Atoi(s)
	if err != nil || k < 1 || k > classify.MaxK {
		return 0, usagef("--k is %q; it must be auto or 1 to %d", s, classify.MaxK)
	}
	return k, nil
}
