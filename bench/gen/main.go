// Command gen writes the data sets of offchain/classify/gen as raw little-endian float64 rows.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	set := flag.String("set", "B", "A or B")
	n := flag.Int("n", 100_000, "rows")
	k := flag.Int("k", 8, "components")
	dim := flag.Int("dim", 8, "columns")
	seed := flag.Uint64("seed", 2, "seed; those of the project's figures are 1 for A and 2 for B")
	out := flag.String("o", "", "file for the rows")
	labels := flag.String("labels", "", "file for the component of each row, one a line")
	flag.Parse()
	if *out == "" || *n < 1 || *k < 1 || *dim < 1 || flag.NArg() > 0 {
		return errors.New("usage: gen -set A|B -n ROWS [-k K] [-dim D] [-seed S] -o FILE [-labels FILE]")
	}
	var s gen.Set
	switch *set {
	case "A":
		s = gen.A(*n, *k, *dim, *seed)
	case "B":
		s = gen.B(*n, *k, *dim, *seed)
	default:
		return fmt.Errorf("-set is %q; it must be A or B", *set)
	}
	if err := write(*out, len(s.X), func(b []byte, i int) []byte {
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(s.X[i]))
	}); err != nil {
		return err
	}
	if *labels == "" {
		return nil
	}
	return write(*labels, len(s.Labels), func(b []byte, i int) []byte {
		return append(strconv.AppendInt(b, int64(s.Labels[i]), 10), '\n')
	})
}

func write(name string, n int, item func(b []byte, i int) []byte) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<16)
	var b []byte
	for i := range n {
		if _, err := w.Write(item(b[:0], i)); err != nil {
			return err
		}
	}
	return w.Flush()
}
