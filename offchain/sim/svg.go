package sim

import (
	"fmt"
	"html"
	"io"
	"math"
)

// page writes text and remembers the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// line of a plot.
type line struct {
	name  string
	color string
	y     []float64
}

var palette = []string{
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b", "#9467bd", "#17becf", "#bcbd22", "#000000",
}

const (
	plotWidth, plotHeight       = 860.0, 300.0
	marginLeft, marginRight     = 70.0, 150.0
	marginTop, marginBottom     = 14.0, 34.0
	plotRight, plotBottom       = plotWidth - marginRight, plotHeight - marginBottom
	innerWidth, innerHeight     = plotRight - marginLeft, plotBottom - marginTop
	barHeight, barGap, barStart = 16.0, 8.0, 150.0
)

// scale maps values to the height of a plot, by logarithm if log.
type scale struct {
	low, high float64
	log       bool
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log(max(v, s.low)), math.Log(low), math.Log(high)
	}
	return plotBottom - (min(max(v, low), high)-low)/(high-low)*innerHeight
}

func (s scale) ticks() []float64 {
	var out []float64
	if s.log {
		for e := math.Floor(math.Log10(s.low)); e <= math.Log10(s.high); e++ {
			for _, m := range []float64{1, 2, 5} {
				if v := m * math.Pow(10, e); v >= s.low && v <= s.high {
					out = append(out, v)
				}
			}
		}
		return out
	}
	step := niceStep(s.high - s.low)
	for v := math.Ceil(s.low/step) * step; v <= s.high+step/1e6; v += step {
		out = append(out, v)
	}
	return out
}

// niceStep divides a span into about five round steps.
func niceStep(span float64) float64 {
	raw := span / 5
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// lines plots values over the course of the jobs.
func (p *page) lines(title, unit string, log bool, all []line) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range all {
		for _, v := range l.y {
			if v > 0 || !log {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if !(low < high) {
		return
	}
	if log {
		low = max(low, high/1e4)
	} else {
		low = min(low, 0)
	}
	s := scale{low, high, log}
	p.f("<figure><figcaption>%s</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n",
		html.EscapeString(title), plotWidth, plotHeight, html.EscapeString(title))
	for _, v := range s.ticks() {
		y := s.at(v)
		p.f("<path d=\"M%.0f %.1fH%.0f\" class=\"grid\"/><text x=\"%.0f\" y=\"%.1f\" class=\"end\">%.3g</text>\n",
			marginLeft, y, plotRight, marginLeft-6, y+4, v)
	}
	for k := 0; k <= 4; k++ {
		x := marginLeft + innerWidth*float64(k)/4
		p.f("<text x=\"%.0f\" y=\"%.0f\" class=\"mid\">%d %%</text>\n", x, plotBottom+16, 25*k)
	}
	p.f("<text x=\"%.0f\" y=\"%.0f\" class=\"mid\">of the jobs · %s</text>\n", marginLeft+innerWidth/2, plotHeight-4, html.EscapeString(unit))
	for i, l := range all {
		p.f("<path class=\"line\" stroke=\"%s\" d=\"", l.color)
		for k, v := range l.y {
			verb := "L"
			if k == 0 {
				verb = "M"
			}
			p.f("%s%.1f %.1f", verb, marginLeft+innerWidth*(float64(k)+0.5)/float64(len(l.y)), s.at(v))
		}
		p.f("\"/><text x=\"%.0f\" y=\"%.0f\" fill=\"%s\">%s</text>\n", plotRight+10, marginTop+12+float64(i)*17, l.color, html.EscapeString(l.name))
	}
	p.f("</svg></figure>\n")
}

// bar of a chart, with an interval.
type bar struct {
	name, color string
	value       float64
	in          Interval
}

// bars draws values above a base, which is where the bars begin.
func (p *page) bars(title string, base float64, all []bar) {
	high := base
	for _, b := range all {
		high = max(high, b.value, b.in.High)
	}
	if high == base {
		high = base + 1
	}
	height := float64(len(all))*(barHeight+barGap) + 10
	width := plotWidth - barStart - 90
	at := func(v float64) float64 { return barStart + (max(v, base)-base)/(high-base)*width }
	p.f("<figure><figcaption>%s</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n",
		html.EscapeString(title), plotWidth, height, html.EscapeString(title))
	for i, b := range all {
		y := float64(i)*(barHeight+barGap) + 5
		p.f("<text x=\"%.0f\" y=\"%.1f\" class=\"end\">%s</text><rect x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"/>",
			barStart-8, y+13, html.EscapeString(b.name), barStart, y, at(b.value)-barStart, barHeight, b.color)
		p.f("<path class=\"whisker\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\">%.4g</text>\n",
			at(b.in.Low), y+barHeight/2, at(b.in.High), at(max(b.value, b.in.High))+6, y+13, b.value)
	}
	p.f("</svg></figure>\n")
}
