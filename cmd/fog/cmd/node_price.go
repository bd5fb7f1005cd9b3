package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/pricing"
)

// nodePriceFlags of `fog node price`.
type nodePriceFlags struct {
	dryRun             bool
	cost, ceiling      string
	counts, class, dir string
}

func newNodePriceCmd(a *app) *cobra.Command {
	var f nodePriceFlags
	cmd := &cobra.Command{
		Use: "price", Short: "Show what profit to expect at each price, and from what evidence", Args: cobra.NoArgs,
		Long: `Show what profit to expect at each price, and from what evidence.

The evidence is what the agent of this home has gathered with "fog agent run --pricing auto", with its cost and ceiling unless others are
given; or that of --counts. An offer is a decision of the matching that the node could have won at some price; it is accepted if it
did. Prices are those of a vCPU-hour. The files of --counts and --class are JSON lists of {"price": ufog an hour, "offers": N,
"accepted": N}. Nothing is sent and no price is changed.`,
		RunE: func(*cobra.Command, []string) error { return a.nodePrice(f) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show (a price is set with fog node update-price)")
	fl.StringVar(&f.cost, "cost", "", "what an hour costs the provider, the floor of the price, such as 0.05FOG (default: the agent's)")
	fl.StringVar(&f.ceiling, "ceiling", "", "the highest price to consider (default: the agent's, or ten times the cost)")
	fl.StringVar(&f.counts, "counts", "", "file of the node's offers by price, in place of what the agent has gathered")
	fl.StringVar(&f.class, "class", "", "file of the offers of the node's class, to start from")
	fl.StringVar(&f.dir, "dir", "", "folder in which the agent works (default: agent in the home)")
	return cmd
}

// pricePlan is the result of the command.
type pricePlan struct {
	Cost     uint64          `json:"cost"`
	Evidence priceEvidence   `json:"evidence"`
	Best     pricing.Point   `json:"best"`
	Points   []pricing.Point `json:"points"`
}

// priceEvidence is what the expectation rests on.
type priceEvidence struct {
	// Source is a file, or empty if there is none.
	Source string `json:"source,omitempty"`
	// Offers and Accepted are sums over the prices, discounted and with those of the class.
	Offers   float64 `json:"offers"`
	Accepted float64 `json:"accepted"`
	// Price is what the agent last chose, at the Unix second Since.
	Price uint64 `json:"price,omitempty"`
	Since int64  `json:"since,omitempty"`
}

func (a *app) nodePrice(f nodePriceFlags) error {
	if !f.dryRun {
		return usagef("give --dry-run; to set a price use fog node update-price")
	}
	plan, err := f.plan(a.agentDir(agentFlags{dir: f.dir}))
	if err != nil {
		return err
	}
	e := plan.Evidence
	if e.Source == "" {
		a.say("there is no evidence yet: this is what is believed of any node (fog agent run --pricing auto gathers evidence)")
	} else {
		a.say("from %s: %.0f offers, %.0f accepted", e.Source, e.Offers, e.Accepted)
	}
	if e.Price > 0 {
		a.say("the agent chose %s at %s", fog(e.Price), time.Unix(e.Since, 0).UTC().Format(time.RFC3339))
	}
	return a.print(plan, func(w io.Writer) error {
		rows := [][]string{{"PRICE", "DEMAND", "90 % INTERVAL", "PROFIT AN OFFER", "OFFERS", "ACCEPTED", ""}}
		for _, p := range plan.Points {
			mark := ""
			if p.Price == plan.Best.Price {
				mark = "best"
			}
			rows = append(rows, []string{
				fog(p.Price), fmt.Sprintf("%.3f", p.Demand), fmt.Sprintf("%.3f–%.3f", p.Low, p.High), fog(uint64(max(p.Profit, 0))),
				fmt.Sprintf("%.0f", p.Offers), fmt.Sprintf("%.0f", p.Accepted), mark,
			})
		}
		return table(w, rows)
	})
}

func (f nodePriceFlags) plan(agentDir string) (pricePlan, error) {
	saved, found, err := autoprice.Load(agentDir)
	if err != nil {
		return pricePlan{}, err
	}
	fromAgent := found && f.counts == ""
	if fromAgent && f.class != "" {
		return pricePlan{}, usagef("--class goes with --counts; what the agent has gathered holds the class that it began with")
	}
	cfg, err := f.config(saved, fromAgent)
	if err != nil {
		return pricePlan{}, err
	}
	if cfg.Class, err = readCounts(f.class); err != nil {
		return pricePlan{}, err
	}
	p, err := pricing.New(cfg, nil) // nothing is drawn
	if err != nil {
		return pricePlan{}, usagef("%w", err)
	}
	plan := pricePlan{Cost: cfg.Cost}
	switch {
	case fromAgent:
		plan.Evidence = priceEvidence{Source: filepath.Join(agentDir, autoprice.FileName), Price: saved.Pricer.Price, Since: saved.Pricer.Since}
		if err := p.Restore(saved.Pricer); err != nil {
			return pricePlan{}, fmt.Errorf("%s: %w", plan.Evidence.Source, err)
		}
	default:
		plan.Evidence.Source = f.counts
		if f.counts == "" {
			plan.Evidence.Source = f.class
		}
		counts, err := readCounts(f.counts)
		if err != nil {
			return pricePlan{}, err
		}
		for _, c := range counts {
			if err := p.Record(c); err != nil {
				return pricePlan{}, fmt.Errorf("%s: %w", f.counts, err)
			}
		}
	}
	plan.Points = p.Expect()
	plan.Best = plan.Points[0]
	for _, point := range plan.Points {
		plan.Evidence.Offers += point.Offers
		plan.Evidence.Accepted += point.Accepted
		if point.Profit > plan.Best.Profit {
			plan.Best = point
		}
	}
	return plan, nil
}

// config reads cost and ceiling, or takes those of the agent.
func (f nodePriceFlags) config(saved autoprice.State, fromAgent bool) (pricing.Config, error) {
	var cfg pricing.Config
	switch {
	case f.cost != "":
		cost, err := jobfile.ParseUfog(f.cost)
		if err != nil {
			return cfg, usagef("--cost: %w", err)
		}
		cfg.Cost, cfg.Ceiling = uint64(cost), 10*uint64(cost)
	case fromAgent:
		cfg.Cost, cfg.Ceiling = saved.Cost, saved.Ceiling
	default:
		return cfg, usagef("--cost is missing; give what an hour costs you, such as 0.05FOG")
	}
	if f.ceiling != "" {
		ceiling, err := jobfile.ParseUfog(f.ceiling)
		if err != nil {
			return cfg, usagef("--ceiling: %w", err)
		}
		cfg.Ceiling = uint64(ceiling)
	}
	return cfg, nil
}

// readCounts reads offers by price; no file holds none.
func readCounts(path string) ([]pricing.Count, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var counts []pricing.Count
	if err := json.Unmarshal(data, &counts); err != nil {
		return nil, fmt.Errorf(`%s: %w; write a list of {"price": …, "offers": …, "accepted": …}`, path, err)
	}
	return counts, nil
}
