package quant

import (
	"fmt"
	"math"
)

// Missing is the value of a numeric feature that is not known; a level below 0 is that of a category.
const Missing = math.MinInt64

// Limits of a model, which bound what a row costs and keep the arithmetic from overflowing.
const (
	MaxFeatures   = 32
	MaxCategories = 8
	MaxLevels     = 64
	MaxComponents = 256
	MaxName       = 64
	MaxShift      = 62

	// Clip is how far a scaled value may lie from 0, in Q24.
	Clip = 4 << ScaledBits
	// ScaledBits is the fraction of scaled values and means, FactorBits that of factors, ScoreBits that of scores, constants and probabilities.
	ScaledBits = 24
	FactorBits = 24
	ScoreBits  = 32

	maxMean     = 8 << ScaledBits
	maxFactor   = 1024 << FactorBits
	maxConstant = 1 << 52 // a million nats
)

// Version of the format.
const Version = 1

// Model is a mixture in integers.
type Model struct {
	Features   []Feature
	Categories []Category
	Components []Component
}

// Feature is a numeric column and its scaling: (t - Center)·Scale/2^Shift in Q24, clipped, where t is the value or, with Log, log₂(1 + value/Unit) in
// Q32. A Log feature has no negative values; they count as 0.
type Feature struct {
	Name   string
	Log    bool
	Unit   int64 // what the value counts in; above 0
	Center int64
	Scale  int64 // above 0
	Shift  uint8
}

// Category is a categorical column.
type Category struct {
	Name   string
	Levels []string
}

// Component is one class.
type Component struct {
	ID       uint32 // of the class, the same in later models for as long as it is the same class
	Name     string // for people
	Constant int64  // log weight - ½ log det(2π covariance), Q32
	Mean     []int64
	Factor   []int64   // the inverse of the covariance's Cholesky factor, lower triangle by rows, Q24
	LogP     [][]int64 // of each category, of each level: at most 0, Q32
}

// Validate tells in what the model breaks the limits.
func (m *Model) Validate() error {
	if n := len(m.Features); n < 1 || n > MaxFeatures {
		return fmt.Errorf("the model has %d features; allowed are 1 to %d", n, MaxFeatures)
	}
	if n := len(m.Categories); n > MaxCategories {
		return fmt.Errorf("the model has %d categories; allowed are up to %d", n, MaxCategories)
	}
	if n := len(m.Components); n < 1 || n > MaxComponents {
		return fmt.Errorf("the model has %d components; allowed are 1 to %d", n, MaxComponents)
	}
	names := map[string]bool{}
	for _, f := range m.Features {
		if err := checkName(names, f.Name); err != nil {
			return err
		}
		if f.Unit < 1 || f.Scale < 1 || f.Shift > MaxShift {
			return fmt.Errorf("feature %q has unit %d, scale %d and shift %d; the first two must be above 0, the last at most %d", f.Name, f.Unit, f.Scale, f.Shift, MaxShift)
		}
	}
	for _, c := range m.Categories {
		if err := checkName(names, c.Name); err != nil {
			return err
		}
		if n := len(c.Levels); n < 1 || n > MaxLevels {
			return fmt.Errorf("category %q has %d levels; allowed are 1 to %d", c.Name, n, MaxLevels)
		}
		levels := map[string]bool{}
		for _, l := range c.Levels {
			if err := checkName(levels, l); err != nil {
				return err
			}
		}
	}
	ids := map[uint32]bool{}
	for i := range m.Components {
		c := &m.Components[i]
		if ids[c.ID] {
			return fmt.Errorf("two components have the id %d", c.ID)
		}
		ids[c.ID] = true
		if err := m.checkComponent(c); err != nil {
			return fmt.Errorf("component %d: %w", c.ID, err)
		}
	}
	return nil
}

func (m *Model) checkComponent(c *Component) error {
	d := len(m.Features)
	if len(c.Name) > MaxName {
		return fmt.Errorf("the name has %d bytes; allowed are up to %d", len(c.Name), MaxName)
	}
	if len(c.Mean) != d || len(c.Factor) != d*(d+1)/2 || len(c.LogP) != len(m.Categories) {
		return fmt.Errorf("%d means, %d factors and %d categories do not fit %d features and %d categories", len(c.Mean), len(c.Factor), len(c.LogP), d, len(m.Categories))
	}
	if within(c.Constant, maxConstant) != nil {
		return fmt.Errorf("the constant is %d; its size may be %d", c.Constant, int64(maxConstant))
	}
	for _, v := range c.Mean {
		if err := within(v, maxMean); err != nil {
			return fmt.Errorf("a mean: %w", err)
		}
	}
	at := 0
	for i := range d {
		for j := range i + 1 {
			if err := within(c.Factor[at], maxFactor); err != nil {
				return fmt.Errorf("a factor: %w", err)
			}
			if i == j && c.Factor[at] < 1 {
				return fmt.Errorf("the factor of feature %q is %d; it must be above 0", m.Features[i].Name, c.Factor[at])
			}
			at++
		}
	}
	for i, logs := range c.LogP {
		if len(logs) != len(m.Categories[i].Levels) {
			return fmt.Errorf("category %q has %d probabilities for %d levels", m.Categories[i].Name, len(logs), len(m.Categories[i].Levels))
		}
		for _, v := range logs {
			if v > 0 || v < -maxConstant {
				return fmt.Errorf("category %q has a log probability %d; it must be -%d to 0", m.Categories[i].Name, v, int64(maxConstant))
			}
		}
	}
	return nil
}

func within(v, limit int64) error {
	if v > limit || v < -limit {
		return fmt.Errorf("%d is out of ±%d", v, limit)
	}
	return nil
}

func checkName(seen map[string]bool, name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("the name %q has %d bytes; allowed are 1 to %d", name, len(name), MaxName)
	}
	if seen[name] {
		return fmt.Errorf("the name %q is there twice", name)
	}
	seen[name] = true
	return nil
}
