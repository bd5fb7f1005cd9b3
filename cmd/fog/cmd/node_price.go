package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/pricing"
)

// nodePriceFlags of `fog node price`.
type nodePriceFlags struct {
	dryRun        bool
	cost, ceiling string
	counts, class string
}

func newNodePriceCmd(a *app) *cobra.Command {
	var f nodePriceFlags
	cmd := &cobra.Command{
		Use: "price", Short: "Show what profit to expect at each price, and from what evidence", Args: cobra.NoArgs,
		Long: `Show what profit to expect at each price, and from what evidence.

An offer is a decision of the matching that the node could have won; it is accepted if it did. The files of --counts and --class are JSON lists
of {"price": ufog an hour, "offers": N, "accepted": N}. Nothing is sent and no price is changed.`,
		RunE: func(*cobra.Command, []string) error { return a.nodePrice(f) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show (a price is set with fog node update-price)")
	fl.StringVar(&f.cost, "cost", "", "what an hour costs the provider, the floor of the price, such as 0.05FOG")
	fl.StringVar(&f.ceiling, "ceiling", "", "the highest price to consider (default: ten times the cost)")
	fl.StringVar(&f.counts, "counts", "", "file of the node's offers by price")
	fl.StringVar(&f.class, "class", "", "file of the offers of the node's class, to start from")
	return cmd
}

// pricePlan is the result of the command.
type pricePlan struct {
	Cost   uint64          `json:"cost"`
	Best   pricing.Point   `json:"best"`
	Points []pricing.Point `json:"points"`
}

func (a *app) nodePrice(f nodePriceFlags) error {
	if !f.dryRun {
		return usagef("give --dry-run; to set a price use fog node update-price")
	}
	plan, err := f.plan()
	if err != nil {
		return err
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

func (f nodePriceFlags) plan() (pricePlan, error) {
	if f.cost == "" {
		return pricePlan{}, usagef("--cost is missing; give what an hour costs you, such as 0.05FOG")
	}
	cost, err := jobfile.ParseUfog(f.cost)
	if err != nil {
		return pricePlan{}, usagef("--cost: %w", err)
	}
	cfg := pricing.Config{Cost: uint64(cost), Ceiling: 10 * uint64(cost)}
	if f.ceiling != "" {
		ceiling, err := jobfile.ParseUfog(f.ceiling)
		if err != nil {
			return pricePlan{}, usagef("--ceiling: %w", err)
		}
		cfg.Ceiling = uint64(ceiling)
	}
	if cfg.Class, err = readCounts(f.class); err != nil {
		return pricePlan{}, err
	}
	counts, err := readCounts(f.counts)
	if err != nil {
		return pricePlan{}, err
	}
	p, err := pricing.New(cfg, nil) // nothing is drawn
	if err != nil {
		return pricePlan{}, usagef("%w", err)
	}
	for _, c := range counts {
		if err := p.Record(c); err != nil {
			return pricePlan{}, fmt.Errorf("%s: %w", f.counts, err)
		}
	}
	plan := pricePlan{Cost: cfg.Cost, Points: p.Expect()}
	plan.Best = plan.Points[0]
	for _, point := range plan.Points {
		if point.Profit > plan.Best.Profit {
			plan.Best = point
		}
	}
	return plan, nil
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
