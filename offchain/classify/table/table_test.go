package table

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func raw(values ...float64) []byte {
	var b []byte
	for _, x := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func TestReadF64(t *testing.T) {
	b := raw(1, 2, math.NaN(), 4, -0.5, 6)
	for _, size := range []int64{-1, 0, int64(len(b)), 5} {
		got, err := ReadF64(bytes.NewReader(b), size, 2)
		require.NoError(t, err)
		require.Equal(t, 3, got.Rows)
		require.Equal(t, []string{"x1", "x2"}, got.Names)
		require.Equal(t, 4.0, got.X[3])
		require.True(t, math.IsNaN(got.X[2]))
	}
	long := raw(make([]float64, 3*(1<<13)+3)...)
	got, err := ReadF64(bytes.NewReader(long), -1, 3)
	require.NoError(t, err)
	require.Equal(t, 1<<13+1, got.Rows)

	for _, c := range []struct {
		b    []byte
		dim  int
		want string
	}{
		{b, 4, "no whole rows of 4 values"},
		{b[:20], 2, "4 bytes are no whole rows"},
		{nil, 2, "no rows"},
		{b, 0, "give --dim 1 to 256"},
		{raw(1, math.Inf(-1)), 2, "row 1, column 2 is infinite"},
		{raw(1, 1e200), 2, "1e+200"},
	} {
		_, err := ReadF64(bytes.NewReader(c.b), -1, c.dim)
		require.ErrorContains(t, err, c.want)
	}
}

const machines = `name,memory,price,arch
a,64,0.5,arm64
b,,1e-1,amd64
c,16,NA,
`

func TestReadCSV(t *testing.T) {
	got, err := ReadCSV(strings.NewReader(machines), Columns{Numbers: []string{"price", "memory"}, Categories: []string{"arch"}})
	require.NoError(t, err)
	require.Equal(t, []string{"price", "memory"}, got.Names)
	require.Equal(t, []float64{0.5, 64, 0.1}, got.X[:3])
	require.True(t, math.IsNaN(got.X[3]) && math.IsNaN(got.X[4]))
	require.Equal(t, 16.0, got.X[5])
	require.Equal(t, []string{"amd64", "arm64"}, got.Categories[0].Levels)
	require.Equal(t, []int32{1, 0, -1}, got.Categories[0].Values)

	got, err = ReadCSV(strings.NewReader(machines), Columns{Numbers: []string{"memory"}, Categories: []string{"arch"}, Levels: [][]string{{"arm64", "x"}}})
	require.NoError(t, err)
	require.Equal(t, []int32{0, -1, -1}, got.Categories[0].Values, "levels of a model; others are missing")

	got, err = ReadCSV(strings.NewReader("1,2\n3,4\n"), Columns{Numbers: []string{"2"}})
	require.NoError(t, err)
	require.Equal(t, []float64{2, 4}, got.X)
	require.Equal(t, []string{"2"}, got.Names)

	got, err = ReadCSV(strings.NewReader("\ufeffx, y\n3,\" 4\"\n"), Columns{})
	require.NoError(t, err)
	require.Equal(t, []float64{3, 4}, got.X)
	require.Equal(t, "x", got.Names[0])

	for _, c := range []struct {
		text    string
		columns Columns
		want    string
	}{
		{machines, Columns{}, `line 2, column "name" holds "a", which is no number; leave the column out with --columns, or name it in --categories`},
		{machines, Columns{Numbers: []string{"ram"}}, `no column "ram"; there are name, memory, price, arch`},
		{machines, Columns{Categories: []string{"cpu"}}, `no column "cpu"`},
		{"", Columns{}, "the table is empty"},
		{"a,b\n", Columns{}, "no rows"},
		{"a,b\n1,2,3\n", Columns{}, "wrong number of fields"},
		{"1,inf\n2,3\n3,x\n", Columns{}, `line 3, column "inf" holds "x"`},
		{"1,2\n3,inf\n", Columns{}, `line 2, column "2" holds "inf"`},
		{"a,b\n1,\n", Columns{Numbers: []string{"a"}, Categories: []string{"b"}}, `column "b" has no values`},
		{"a,b\n1,\n", Columns{Categories: []string{"a", "b"}}, "0 columns of numbers"},
	} {
		_, err := ReadCSV(strings.NewReader(c.text), c.columns)
		require.ErrorContains(t, err, c.want, "%q", c.text)
	}
}

// Whatever is read is a valid table or an error.
func FuzzReadCSV(f *testing.F) {
	f.Add(machines, "memory", "arch")
	f.Add("1,2\n,4\n", "1", "2")
	f.Add("a,b\n\"x\ny\",2\n", "b", "a")
	f.Fuzz(func(t *testing.T, text, number, category string) {
		for _, columns := range []Columns{{}, {Numbers: []string{number}, Categories: []string{category}}} {
			if got, err := ReadCSV(strings.NewReader(text), columns); err == nil {
				require.NoError(t, got.Validate())
				require.Len(t, got.Names, got.Dim)
			}
		}
	})
}

func FuzzReadF64(f *testing.F) {
	f.Add(raw(1, 2, 3, 4), int64(32), 2)
	f.Add([]byte{1, 2, 3}, int64(-1), 1)
	f.Fuzz(func(t *testing.T, b []byte, size int64, dim int) {
		if size > 1<<20 {
			return
		}
		got, err := ReadF64(bytes.NewReader(b), size, dim)
		if err != nil {
			return
		}
		require.NoError(t, got.Validate())
		require.Equal(t, len(b), 8*got.Rows*dim)
		for i, x := range got.X {
			bits := binary.LittleEndian.Uint64(b[8*i:])
			require.True(t, math.Float64bits(x) == bits || x != x)
		}
	})
}
