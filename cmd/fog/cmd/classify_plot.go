package cmd

import (
	"bufio"
	"context"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/foggrid/fogd/offchain/classify"
)

// plotFlags of `fog classify plot`.
type plotFlags struct {
	table      tableFlags
	model, out string
	x, y       string
	points     int
}

func newClassifyPlotCmd(a *app) *cobra.Command {
	var f plotFlags
	c := &cobra.Command{
		Use: "plot --model FILE --input FILE -o FILE", Short: "Draw the classes of rows", Args: cobra.NoArgs,
		Long: `plot draws the rows in the colours of their classes: in the plane in which they spread most (the first two principal components), or
in that of two columns.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.classifyPlot(cmd.Context(), f) },
	}
	f.table.add(c.Flags())
	c.Flags().StringVar(&f.model, "model", "", "file of the model")
	c.Flags().StringVarP(&f.out, "out", "o", "", "FILE.svg or FILE.png")
	c.Flags().StringVar(&f.x, "x", "", "column to the right (with --y)")
	c.Flags().StringVar(&f.y, "y", "", "column upwards (with --x)")
	c.Flags().IntVar(&f.points, "points", 5000, "most rows to draw, taken evenly")
	return c
}

func (a *app) classifyPlot(ctx context.Context, f plotFlags) error {
	ext := filepath.Ext(f.out)
	switch {
	case ext != ".svg" && ext != ".png":
		return usagef("-o is %q; it must be a file that ends in .svg or .png", f.out)
	case (f.x == "") != (f.y == ""):
		return usagef("give both --x and --y, or neither")
	case f.points < 1:
		return usagef("--points is %d; it must be above 0", f.points)
	}
	m, err := readModel(f.model)
	if err != nil {
		return err
	}
	rows, err := a.rowsOf(ctx, m, &f.table)
	if err != nil {
		return err
	}
	_, labels, err := m.predict(rows)
	if err != nil {
		return fmt.Errorf("%s: %w", f.table.input, err)
	}
	d, err := m.scaled(rows)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x, y, err := f.plane(d, m.Columns)
	if err != nil {
		return err
	}
	p, err := f.draw(m, labels, x, y)
	if err != nil {
		return err
	}
	const width, height, beside = 30 * vg.Centimeter, 17 * vg.Centimeter, 11 * vg.Centimeter // the legend stands beside the points
	canvas, err := draw.NewFormattedCanvas(width, height, ext[1:])
	if err != nil {
		return err
	}
	paper := draw.New(canvas)
	paper.SetColor(color.White)
	paper.Fill(paper.Rectangle.Path())
	legend := p.Legend
	p.Legend = plot.NewLegend()
	p.Draw(draw.Crop(paper, 0, -beside, 0, 0))
	legend.Top, legend.Left, legend.TextStyle.Font.Size = true, true, vg.Points(9)
	legend.Draw(draw.Crop(paper, width-beside, 0, 0, -vg.Centimeter))
	if err := writeFile(f.out, func(w *bufio.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	}); err != nil {
		return err
	}
	return a.print(map[string]any{"plot": f.out, "rows": len(labels)}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s shows %s\n", f.out, some(uint64(len(labels)), "row"))
		return err
	})
}

// axis is the position of each row along a direction.
type axis struct {
	name string
	at   []float64
}

// plane is two columns, or the first two principal components. Missing values lie at the mean.
func (f *plotFlags) plane(d *classify.Data, columns []string) (x, y axis, err error) {
	if f.x != "" {
		if x, err = column(d, columns, f.x); err != nil {
			return x, y, err
		}
		y, err = column(d, columns, f.y)
		return x, y, err
	}
	if d.Dim == 1 {
		x, err = column(d, columns, columns[0])
		return x, axis{"", make([]float64, d.Rows)}, err
	}
	dense := mat.NewDense(d.Rows, d.Dim, filled(d))
	var pc stat.PC
	if d.Rows < 2 || !pc.PrincipalComponents(dense, nil) {
		return x, y, hint(fmt.Errorf("the rows have no principal components"), "choose two columns with --x and --y")
	}
	var vectors, projected mat.Dense
	pc.VectorsTo(&vectors)
	_, count := vectors.Dims()
	projected.Mul(dense, vectors.Slice(0, d.Dim, 0, min(2, count)))
	x = axis{"first principal component", mat.Col(nil, 0, &projected)}
	y = axis{"second principal component", make([]float64, d.Rows)}
	if count > 1 {
		y.at = mat.Col(nil, 1, &projected)
	}
	return x, y, nil
}

func column(d *classify.Data, columns []string, name string) (axis, error) {
	j := slices.Index(columns, name)
	if j < 0 {
		return axis{}, usagef("there is no column %q; there are %v", name, columns)
	}
	x := filled(d)
	at := make([]float64, d.Rows)
	for i := range at {
		at[i] = x[i*d.Dim+j]
	}
	return axis{name, at}, nil
}

// filled is the values, missing ones at the mean of their column.
func filled(d *classify.Data) []float64 {
	x := slices.Clone(d.X)
	for j := range d.Dim {
		var sum, n float64
		for i := range d.Rows {
			if v := x[i*d.Dim+j]; v == v {
				sum += v
				n++
			}
		}
		for i := range d.Rows {
			if v := x[i*d.Dim+j]; v != v {
				x[i*d.Dim+j] = sum / max(1, n)
			}
		}
	}
	return x
}

func (f *plotFlags) draw(m *modelFile, labels []uint32, x, y axis) (*plot.Plot, error) {
	classes := map[uint32]int{}
	if m.integers != nil {
		for i, c := range m.integers.Components {
			classes[c.ID] = i
		}
	} else {
		for i := range m.Profiles {
			classes[uint32(i)] = i
		}
	}
	points := make([]plotter.XYs, len(m.Profiles))
	step := max(1, (len(labels)+f.points-1)/f.points)
	for i := 0; i < len(labels); i += step {
		c := classes[labels[i]]
		points[c] = append(points[c], plotter.XY{X: x.at[i], Y: y.at[i]})
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d classes of %d rows (%s)", len(points), len(labels), filepath.Base(f.table.input))
	p.X.Label.Text, p.Y.Label.Text = x.name, y.name
	p.Add(plotter.NewGrid())
	for c, xys := range points {
		if len(xys) == 0 {
			continue
		}
		s, err := plotter.NewScatter(xys)
		if err != nil {
			return nil, err
		}
		s.GlyphStyle = draw.GlyphStyle{Color: classColor(c, len(points)), Radius: vg.Points(1.4), Shape: draw.CircleGlyph{}}
		p.Add(s)
		name := fmt.Sprintf("class %d", c)
		if m.integers != nil {
			name = fmt.Sprintf("class %d", m.integers.Components[c].ID)
		}
		if m.Profiles[c] != "" {
			name += ": " + m.Profiles[c]
		}
		legend := *s
		legend.Radius = vg.Points(4)
		p.Legend.Add(name, &legend)
	}
	return p, nil
}

// classColor spreads the classes over the colour circle.
func classColor(c, of int) color.Color {
	return palette.HSVA{H: math.Mod(float64(c)/float64(of), 1), S: 0.85, V: 0.55 + 0.3*float64(c%2), A: 0.75}
}
