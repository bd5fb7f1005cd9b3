package classify

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// words for the low and the high end of the features of nodes.
var words = map[string][2]string{
	"memory":           {"little memory", "much memory"},
	"storage":          {"little storage", "much storage"},
	"bandwidth":        {"narrow network", "broad network"},
	"price":            {"cheap", "dear"},
	"cpu_single":       {"slow CPU", "fast CPU"},
	"cpu_all":          {"few cores", "many cores"},
	"memory_bandwidth": {"slow memory", "fast memory"},
	"rtt":              {"near", "far"},
	"jitter":           {"steady network", "unsteady network"},
	"loss":             {"clean network", "lossy network"},
	"reliability":      {"unreliable", "reliable"},
}

// Profiles describes each component in a few words, by what sets it apart from the whole: of the features those by whose mean the
// component lies furthest from the mixture's, in units of the mixture's deviation, and of the categories the levels that are usual in it and not elsewhere.
func Profiles(m *Mixture, names []string) []string {
	mean, deviation := m.overall()
	out := make([]string, m.K)
	for c := range m.K {
		type trait struct {
			text string
			size float64
		}
		var traits []trait
		for j := range m.Dim {
			z := (m.mean(c)[j] - mean[j]) / deviation[j]
			if math.Abs(z) >= 0.5 {
				traits = append(traits, trait{describe(names[j], z), math.Abs(z)})
			}
		}
		for _, p := range m.Categories {
			for l, name := range p.Levels {
				var usual float64
				for k := range m.K {
					usual += float64(m.Weights[k] * p.P[k*len(p.Levels)+l])
				}
				if here := p.P[c*len(p.Levels)+l]; here >= 0.7 && usual < 0.5 {
					traits = append(traits, trait{name, 1})
				}
			}
		}
		sort.SliceStable(traits, func(a, b int) bool { return traits[a].size > traits[b].size })
		const most = 3
		var texts []string
		for _, t := range traits[:min(most, len(traits))] {
			texts = append(texts, t.text)
		}
		if out[c] = strings.Join(texts, ", "); len(texts) == 0 {
			out[c] = "ordinary"
		}
	}
	return out
}

func describe(name string, z float64) string {
	high := 0
	if z > 0 {
		high = 1
	}
	text := [2]string{"low " + name, "high " + name}[high]
	if w, ok := words[name]; ok {
		text = w[high]
	}
	if math.Abs(z) >= 2 {
		return fmt.Sprintf("very %s", text)
	}
	return text
}

// overall is the mean and the deviation of each column under the whole mixture.
func (m *Mixture) overall() (mean, deviation []float64) {
	mean, deviation = make([]float64, m.Dim), make([]float64, m.Dim)
	for c, w := range m.Weights {
		for j, v := range m.mean(c) {
			mean[j] += float64(w * v)
		}
	}
	for j := range deviation {
		var variance float64
		for c, w := range m.Weights {
			r := m.mean(c)[j] - mean[j]
			variance += float64(w * (m.Variance(c, j) + float64(r*r)))
		}
		deviation[j] = math.Sqrt(variance)
	}
	return mean, deviation
}
