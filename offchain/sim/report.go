package sim

import (
	"encoding/json"
	"html"
	"io"
)

const reportStyle = `body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:.25em .6em;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}
figure{margin:1.5em 0}figcaption{font-weight:600;margin-bottom:.4em}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif}
.end{text-anchor:end}.mid{text-anchor:middle}.grid{stroke:#ddd}.line{fill:none;stroke-width:1.8}.whisker{stroke:#222;stroke-width:1.5}
pre{background:#f5f5f5;padding:1em;overflow:auto;font-size:12px}`

// WriteReport writes the result as one HTML page that needs nothing else.
func WriteReport(w io.Writer, r *Result) error {
	p := &page{w: w}
	name := html.EscapeString(r.Scenario.Name)
	p.f("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>fog sim: %s</title>\n<style>%s</style></head><body>\n", name, reportStyle)
	p.f("<h1>Matching policies, scenario “%s”</h1>\n<p>%d nodes, %d jobs, %d seeds. Loss and cost are over the oracle's, which knows the hidden "+
		"reliability and speed of each node; regret is over that of random choice, in the last quarter of the jobs. ± is half of the 95 %% interval "+
		"over the seeds, paired with the reference.</p>\n", name, r.Nodes, r.Jobs, len(r.Seeds))
	p.f("<table><tr><th>policy</th><th>loss</th><th>±</th><th>cost a success</th><th>failures %%</th><th>× oracle</th><th>regret, last quarter</th>" +
		"<th>±</th><th>liars %%</th><th>p50 µs</th><th>p99 µs</th></tr>\n")
	for _, n := range r.Order {
		v := r.Policies[n]
		in := v.Interval95
		p.f("<tr><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>%.2f</td><td>%.3f</td><td>%.4f</td><td>%.4f</td><td>%.1f</td><td>%.1f</td><td>%.1f</td></tr>\n",
			html.EscapeString(n), v.LossRatio, half(in.LossRatio), v.CostPerSuccessRatio, 100*v.FailureRate, v.FailureRatio,
			v.RegretRatioLastQuarter, half(in.RegretRatioLastQuarter), 100*v.LiarShareLastQuarter, v.DecisionNsP50/1000, v.DecisionNsP99/1000)
	}
	p.f("</table>\n")
	p.plots(r)
	p.driftTable(r)
	scenario, err := json.MarshalIndent(r.Scenario, "", "  ")
	if err != nil {
		return err
	}
	p.f("<h2>Scenario</h2>\n<pre>%s</pre>\n<p>Seeds: %v</p>\n</body></html>\n", html.EscapeString(string(scenario)), r.Seeds)
	return p.err
}

func half(i Interval) float64 { return (i.High - i.Low) / 2 }

func (p *page) plots(r *Result) {
	var loss []bar
	var regret, failures []line
	for i, n := range r.Order {
		v, color := r.Policies[n], palette[i%len(palette)]
		loss = append(loss, bar{n, color, v.LossRatio, v.Interval95.LossRatio})
		regrets, fails := make([]float64, len(v.Bins)), make([]float64, len(v.Bins))
		for k, b := range v.Bins {
			regrets[k], fails[k] = b.Regret, 100*b.FailureRate
		}
		if n != "oracle" {
			regret = append(regret, line{n, color, regrets})
		}
		failures = append(failures, line{n, color, fails})
	}
	p.bars("Loss over the oracle's", 1, loss)
	p.lines("Regret a job", "dollars, logarithmic", true, regret)
	p.lines("Failed runs", "percent", false, failures)
}

func (p *page) driftTable(r *Result) {
	if r.Scenario.Drift.Share == 0 {
		return
	}
	p.f("<h2>Nodes that went bad after at least five jobs</h2>\n<table><tr><th>policy</th><th>nodes</th><th>avoided after at most 50 outcomes</th><th>p50</th>" +
		"<th>p90</th><th>most</th><th>recovered</th><th>used again</th>" +
		"<th>then the best for five jobs</th><th>used again</th><th>of those with time for a trial</th><th>used again</th>" +
		"<th>the same of twins that stay well</th><th>used again</th></tr>\n")
	for _, n := range r.Order {
		d := r.Policies[n].Drift
		p.f("<tr><td>%s</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td><td>%d</td></tr>\n",
			html.EscapeString(n), d.Nodes, d.AvoidedWithin50, d.JobsP50, d.JobsP90, d.JobsMax, d.Recovered, d.UsedAgain, d.Wanted, d.WantedUsedAgain,
			d.Due, d.DueUsedAgain, d.TwinsDue, d.TwinsDueUsedAgain)
	}
	p.f("</table>\n")
}
