// Package table reads tables of rows for the classifier: CSV and raw float64. It opens no files.
package table

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/foggrid/fogd/offchain/classify"
)

// Table is rows with the names of their numeric columns; those of the categories are in Data.
type Table struct {
	classify.Data
	Names []string
}

// MaxBytes bounds what is read.
const MaxBytes = 1 << 38

// ReadF64 reads rows of dim little-endian float64 values, NaN being a missing one. size is what is known of the number of bytes, or below 0.
func ReadF64(r io.Reader, size int64, dim int) (*Table, error) {
	if dim < 1 || dim > classify.MaxDim {
		return nil, fmt.Errorf("rows of %d values; give --dim 1 to %d", dim, classify.MaxDim)
	}
	const trusted = 1 << 33 // a size that is wrong must not ask for all memory
	t := &Table{}
	t.X = make([]float64, 0, max(0, min(size, trusted))/8)
	buf := make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(r, buf)
		for at := 0; at+8 <= n; at += 8 {
			x := math.Float64frombits(binary.LittleEndian.Uint64(buf[at:]))
			if math.IsInf(x, 0) {
				return nil, fmt.Errorf("row %d, column %d is infinite; write NaN where a value is missing", len(t.X)/dim+1, len(t.X)%dim+1)
			}
			t.X = append(t.X, x)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if n%8 != 0 || len(t.X)%dim != 0 {
				return nil, fmt.Errorf("%d values and %d bytes are no whole rows of %d values of 8 bytes; check --dim", len(t.X), n%8, dim)
			}
			t.Dim, t.Rows = dim, len(t.X)/dim
			for j := range dim {
				t.Names = append(t.Names, "x"+strconv.Itoa(j+1))
			}
			return t, t.Validate()
		case err != nil:
			return nil, err
		case 8*len(t.X) > MaxBytes:
			return nil, fmt.Errorf("there is more than %d bytes", int64(MaxBytes))
		}
	}
}

// Columns choose the columns of a CSV file by name, or by number from 1 where it has no heading.
type Columns struct {
	Numbers    []string // in this order; none: all that are no categories
	Categories []string
	Levels     [][]string // of the categories, if they are known: any other value is missing; nil: those of the file in the order of the alphabet
}

// ReadCSV reads a table with commas between the values. The first line is a heading if one of its values is neither a number nor missing. Empty, NA, NaN
// and null are missing values.
func ReadCSV(r io.Reader, columns Columns) (*Table, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	first, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the table is empty; give at least one row")
	}
	if err != nil {
		return nil, err
	}
	first = slices.Clone(first)
	if len(first) > 0 {
		first[0] = string(bytes.TrimPrefix([]byte(first[0]), []byte("\ufeff")))
	}
	c := &reading{in: in}
	heading := false
	for _, v := range first {
		if _, err := number(v); err != nil {
			heading = true
		}
	}
	if heading {
		c.heading = first
	} else {
		for i := range first {
			c.heading = append(c.heading, strconv.Itoa(i+1))
		}
	}
	if err := c.choose(columns); err != nil {
		return nil, err
	}
	if !heading {
		if err := c.add(first); err != nil {
			return nil, err
		}
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(record); err != nil {
			return nil, err
		}
	}
	return c.finish()
}

type reading struct {
	in         *csv.Reader
	heading    []string
	table      Table
	numbers    []int // the columns of the file
	categories []int
	levels     []map[string]int32
	fixed      bool // levels are given
}

func (c *reading) choose(columns Columns) error {
	find := func(name string) (int, error) {
		if i := slices.Index(c.heading, name); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("there is no column %q; there are %s", name, strings.Join(c.heading, ", "))
	}
	for i, name := range columns.Categories {
		at, err := find(name)
		if err != nil {
			return err
		}
		c.categories = append(c.categories, at)
		known := map[string]int32{}
		category := classify.Category{Name: name}
		if columns.Levels != nil {
			c.fixed = true
			category.Levels = columns.Levels[i]
			for l, v := range category.Levels {
				known[v] = int32(l)
			}
		}
		c.levels = append(c.levels, known)
		c.table.Categories = append(c.table.Categories, category)
	}
	for _, name := range columns.Numbers {
		at, err := find(name)
		if err != nil {
			return err
		}
		c.numbers = append(c.numbers, at)
	}
	if len(columns.Numbers) == 0 {
		for i := range c.heading {
			if !slices.Contains(c.categories, i) {
				c.numbers = append(c.numbers, i)
			}
		}
	}
	if len(c.numbers) == 0 || len(c.numbers) > classify.MaxDim {
		return fmt.Errorf("%d columns of numbers; choose 1 to %d with --columns", len(c.numbers), classify.MaxDim)
	}
	for _, at := range c.numbers {
		c.table.Names = append(c.table.Names, c.heading[at])
	}
	c.table.Dim = len(c.numbers)
	return nil
}

func (c *reading) add(record []string) error {
	for _, at := range c.numbers {
		x, err := number(record[at])
		if err != nil {
			line, _ := c.in.FieldPos(at)
			return fmt.Errorf("line %d, column %q holds %.40q, which is no number; leave the column out with --columns, or name it in --categories",
				line, c.heading[at], record[at])
		}
		c.table.X = append(c.table.X, x)
	}
	for i, at := range c.categories {
		value := record[at]
		category := &c.table.Categories[i]
		l, known := c.levels[i][value]
		switch {
		case value == "":
			l = -1
		case known:
		case c.fixed:
			l = -1
		case len(category.Levels) == classify.MaxLevels:
			return fmt.Errorf("column %q has more than %d values; it is no category", category.Name, classify.MaxLevels)
		default:
			value = strings.Clone(value)
			l = int32(len(category.Levels))
			c.levels[i][value] = l
			category.Levels = append(category.Levels, value)
		}
		category.Values = append(category.Values, l)
	}
	c.table.Rows++
	return nil
}

func (c *reading) finish() (*Table, error) {
	for i := range c.table.Categories {
		category := &c.table.Categories[i]
		if c.fixed {
			continue
		}
		if len(category.Levels) == 0 {
			return nil, fmt.Errorf("column %q has no values; leave it out of --categories", category.Name)
		}
		sorted := slices.Clone(category.Levels)
		slices.Sort(sorted)
		to := make([]int32, len(sorted))
		for l, v := range category.Levels {
			at, _ := slices.BinarySearch(sorted, v)
			to[l] = int32(at)
		}
		for j, v := range category.Values {
			if v >= 0 {
				category.Values[j] = to[v]
			}
		}
		category.Levels = sorted
	}
	return &c.table, c.table.Validate()
}

// number reads a value; a missing one is NaN.
func number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch s {
	case "", "NA", "NaN", "nan", "null":
		return math.NaN(), nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) || x != x {
		return 0, fmt.Errorf("%q is no finite number", s)
	}
	return x, nil
}
