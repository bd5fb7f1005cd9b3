package pricing

import (
	"errors"
	"fmt"
	"math"
)

// Source yields uniform 64-bit numbers; it is that of math/rand/v2.
type Source interface{ Uint64() uint64 }

// Config of a pricer. Prices are in ufog for an hour of the unit that is priced.
type Config struct {
	// Cost of an hour to the provider, which is the floor of its price; Ceiling is the highest price.
	Cost, Ceiling uint64
	// Horizon is the number of offers that the price is to serve, for the size of the grid: 10,000 if zero.
	Horizon float64
	// HalfLife in hours, after which an offer counts half: 720 if zero, never if negative.
	HalfLife float64
	// Explore scales the posterior's standard deviation in draws: 0.4 if zero. One is plain Thompson sampling; with many offers between two
	// decisions less finds the price as surely and pays less for it.
	Explore float64
	// Class holds offers of the node's class, and ClassWeight how many of its own offers they are worth at most: 300 if zero.
	Class       []Count
	ClassWeight float64
}

// Count is what was seen at a price.
type Count struct {
	Price    uint64  `json:"price"`
	Offers   float64 `json:"offers"`
	Accepted float64 `json:"accepted"`
}

const (
	defaultHorizon     = 10_000
	defaultHalfLife    = 720
	defaultExplore     = 0.4
	defaultClassWeight = 300
	// refinement is the number of prices a knot.
	refinement = 6
	secondHour = 3600
)

// Pricer is the price bandit of one node. It is not safe for concurrent use.
type Pricer struct {
	cfg    Config
	source Source
	prices []uint64
	curve  curve
	counts []Count // at the prices
	at     int     // the price that holds, −1 before the first
	since  int64   // Unix second of the last decision
	aged   int64   // Unix second up to which counts are discounted
}

// New makes a pricer. The error names what is wrong with the configuration.
func New(cfg Config, source Source) (*Pricer, error) {
	if cfg.Ceiling <= cfg.Cost || cfg.Ceiling > math.MaxUint64/4 {
		return nil, fmt.Errorf("the ceiling is %d and the cost %d ufog an hour; the ceiling must be above the cost", cfg.Ceiling, cfg.Cost)
	}
	if cfg.Horizon == 0 {
		cfg.Horizon = defaultHorizon
	}
	if cfg.HalfLife == 0 {
		cfg.HalfLife = defaultHalfLife
	}
	if cfg.Explore == 0 {
		cfg.Explore = defaultExplore
	}
	if cfg.ClassWeight == 0 {
		cfg.ClassWeight = defaultClassWeight
	}
	if !(cfg.Horizon >= 10) || !(cfg.Explore > 0) || !(cfg.ClassWeight > 0) || math.IsNaN(cfg.HalfLife) {
		return nil, errors.New("the horizon must be at least 10 offers, exploration and the weight of the class above 0")
	}
	p := &Pricer{cfg: cfg, source: source, prices: grid(cfg), at: -1, aged: math.MinInt64, since: math.MinInt64}
	p.counts = make([]Count, len(p.prices))
	logs := make([]float64, len(p.prices))
	for i, price := range p.prices {
		p.counts[i].Price, logs[i] = price, math.Log(float64(price))
	}
	total := 0.0
	for _, c := range cfg.Class {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("the class: %w", err)
		}
		total += c.Offers
	}
	for _, c := range cfg.Class {
		w := min(cfg.ClassWeight/total, 1)
		p.add(Count{Price: c.Price, Offers: c.Offers * w, Accepted: c.Accepted * w})
	}
	p.curve = newCurve(logs)
	return p, nil
}

// grid is the geometric grid of prices, all different.
func grid(cfg Config) []uint64 {
	knots := max(math.Ceil(math.Pow(cfg.Horizon/math.Log(cfg.Horizon), 0.25)), 4)
	n := int(knots)*refinement + 1
	low, high := max(float64(cfg.Cost)*1.05, float64(cfg.Ceiling)/100, 1), float64(cfg.Ceiling)
	if low >= high {
		low = float64(cfg.Cost) + 1
	}
	var prices []uint64
	for i := range n {
		price := uint64(math.Round(low * math.Pow(high/low, float64(i)/float64(n-1))))
		price = min(max(price, cfg.Cost+1), cfg.Ceiling)
		if len(prices) == 0 || price > prices[len(prices)-1] {
			prices = append(prices, price)
		}
	}
	return prices
}

func (c Count) check() error {
	if !(c.Offers >= 0) || !(c.Accepted >= 0) || c.Accepted > c.Offers || math.IsInf(c.Offers, 1) {
		return fmt.Errorf("%v of %v offers were accepted at price %d; give counts of at least 0, no more accepted than offered", c.Accepted, c.Offers, c.Price)
	}
	return nil
}

// add puts a count to the price that is nearest in ratio.
func (p *Pricer) add(c Count) {
	best, least := 0, math.Inf(1)
	for i, price := range p.prices {
		if d := math.Abs(math.Log(float64(price) / math.Max(float64(c.Price), 1))); d < least {
			best, least = i, d
		}
	}
	p.counts[best].Offers += c.Offers
	p.counts[best].Accepted += c.Accepted
}

// Record adds what was seen at a price since the last call for it.
func (p *Pricer) Record(c Count) error {
	if err := c.check(); err != nil {
		return err
	}
	p.add(c)
	return nil
}

// Decide returns the price to ask from a Unix second on. It decides anew, and so changes, at most once an hour.
func (p *Pricer) Decide(second int64) uint64 {
	if p.at >= 0 && second < p.since+secondHour {
		return p.prices[p.at]
	}
	p.age(second)
	p.curve.fit(p.counts)
	draw := p.curve.draw(p.source, p.cfg.Explore)
	best, most := 0, math.Inf(-1)
	for i, f := range draw {
		if profit := (float64(p.prices[i]) - float64(p.cfg.Cost)) * logistic(f); profit > most {
			best, most = i, profit
		}
	}
	p.at, p.since = best, second
	return p.prices[best]
}

// age discounts the counts up to a Unix second.
func (p *Pricer) age(second int64) {
	if p.aged != math.MinInt64 && second > p.aged && p.cfg.HalfLife > 0 {
		f := math.Exp2(-float64(second-p.aged) / secondHour / p.cfg.HalfLife)
		for i := range p.counts {
			p.counts[i].Offers *= f
			p.counts[i].Accepted *= f
		}
	}
	p.aged = max(second, p.aged)
}

// Point is what is expected at a price.
type Point struct {
	Price uint64 `json:"price"`
	// Demand is the chance that an offer is accepted, Low and High its 90 % credible interval.
	Demand float64 `json:"demand"`
	Low    float64 `json:"demand_low"`
	High   float64 `json:"demand_high"`
	// Profit is (price − cost)·demand in ufog an offer of one hour.
	Profit float64 `json:"profit"`
	// Offers and Accepted are the evidence at this price, discounted.
	Offers   float64 `json:"offers"`
	Accepted float64 `json:"accepted"`
}

// Expect returns what is known of each price, in order.
func (p *Pricer) Expect() []Point {
	p.curve.fit(p.counts)
	sd := p.curve.deviations()
	points := make([]Point, len(p.prices))
	for i, price := range p.prices {
		f := p.curve.mode[i]
		points[i] = Point{
			Price: price, Demand: logistic(f), Low: logistic(f - 1.645*sd[i]), High: logistic(f + 1.645*sd[i]),
			Profit: (float64(price) - float64(p.cfg.Cost)) * logistic(f), Offers: p.counts[i].Offers, Accepted: p.counts[i].Accepted,
		}
	}
	return points
}

// State is what a pricer has to keep over a restart.
type State struct {
	Price  uint64  `json:"price"`
	Since  int64   `json:"since"`
	Aged   int64   `json:"aged"`
	Counts []Count `json:"counts"`
}

// State returns a copy of what the pricer knows.
func (p *Pricer) State() State {
	s := State{Since: p.since, Aged: p.aged}
	if p.at >= 0 {
		s.Price = p.prices[p.at]
	}
	for _, c := range p.counts {
		if c.Offers > 0 {
			s.Counts = append(s.Counts, c)
		}
	}
	return s
}

// Restore puts a state in place of what the pricer knows. The grid may be another one since.
func (p *Pricer) Restore(s State) error {
	for _, c := range s.Counts {
		if err := c.check(); err != nil {
			return fmt.Errorf("the saved state: %w", err)
		}
	}
	for i := range p.counts {
		p.counts[i].Offers, p.counts[i].Accepted = 0, 0
	}
	for _, c := range s.Counts {
		p.add(c)
	}
	p.at, p.since, p.aged = -1, s.Since, s.Aged
	for i, price := range p.prices {
		if price == s.Price {
			p.at = i
		}
	}
	return nil
}
