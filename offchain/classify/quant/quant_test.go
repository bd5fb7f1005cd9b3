package quant

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// source is splitmix64: the vectors below are made with it.
type source uint64

func (s *source) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between is uniform in [from, to].
func (s *source) between(from, to int64) int64 { return from + int64(s.next()%uint64(to-from+1)) }

// sample is a model with d features, k components and a category, all within what fits produce.
func sample(d, k int, s *source) *Model {
	m := &Model{Categories: []Category{{"storage", []string{"hdd", "ssd", "nvme"}}}}
	for i := range d {
		f := Feature{Name: "f" + string(rune('a'+i)), Log: i%2 == 0, Unit: 1, Scale: s.between(1<<28, 1<<30), Shift: 30, Center: s.between(100, 5000)}
		if f.Log {
			f.Unit, f.Center, f.Shift = 1000, s.between(0, 12<<32), 38
		}
		m.Features = append(m.Features, f)
	}
	for c := range k {
		p := Component{ID: uint32(c + 1), Name: "class", Constant: -s.between(0, 20<<32)}
		for i := range d {
			p.Mean = append(p.Mean, s.between(-3<<24, 3<<24))
			for j := range i + 1 {
				v := s.between(-1<<24, 1<<24)
				if i == j {
					v = s.between(1<<22, 8<<24)
				}
				p.Factor = append(p.Factor, v)
			}
		}
		p.LogP = [][]int64{{-s.between(0, 5<<32), -s.between(0, 5<<32), -s.between(0, 5<<32)}}
		m.Components = append(m.Components, p)
	}
	return m
}

func row(d int, s *source) ([]int64, []int) {
	values := make([]int64, d)
	for i := range values {
		values[i] = s.between(0, 100_000)
		if s.next()%9 == 0 {
			values[i] = Missing
		}
	}
	return values, []int{int(s.between(-1, 2))}
}

// What a model encodes to, and what it makes of 500 rows: the same on every platform, for ever. A change of these is a new Version.
func TestGoldenVectors(t *testing.T) {
	for _, c := range []struct {
		d, k          int
		hash, results string
	}{
		{1, 2, "626934a5433fe175963e3a7b80eb33f614952a7b95e52476f2d6df0662a0a8ea", "1f567eec2683d9d725d41b4e7f031e8f1f4dcacf0eb267ab623f7fea0cacb790"}, {8, 5, "64f4871ebfc0b867d35292e6908403b6b3ac80b156c7c57b28fb4a31b5c2e60f", "916b8f6fd4058504fcb8a2cf08bcd45bf7419f1b3e59fb555374b92cb4e3bb41"}, {11, 16, "3cab9e412c233af43aae6589e35b6e2e1c55f64ebd9c7943fdba1291f86bf8bf", "837fb3b1d4eae79b96bb6a74d70d3598156c602acc0e9ba8b1101b781b4592fd"},
	} {
		s := source(42)
		m := sample(c.d, c.k, &s)
		b, err := m.Encode()
		require.NoError(t, err)
		hash := Hash(b)
		require.Equal(t, c.hash, hex.EncodeToString(hash[:]))
		var out []byte
		for range 500 {
			values, levels := row(c.d, &s)
			r, err := m.Classify(values, levels)
			require.NoError(t, err)
			out = binary.BigEndian.AppendUint32(out, r.Class)
			out = binary.BigEndian.AppendUint64(out, uint64(r.Score))
			out = binary.BigEndian.AppendUint64(out, uint64(r.Margin))
		}
		results := Hash(out)
		require.Equal(t, c.results, hex.EncodeToString(results[:]))
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	s := source(7)
	m := sample(5, 3, &s)
	b, err := m.Encode()
	require.NoError(t, err)
	back, err := Decode(b)
	require.NoError(t, err)
	require.Equal(t, m, back)
	for n := range b {
		_, err := Decode(b[:n])
		require.Error(t, err, "cut to %d bytes", n)
	}
	_, err = Decode(append(b, 0))
	require.ErrorContains(t, err, "follow the model")
	later := append([]byte(nil), b...)
	later[len(magic)+3] = 9
	_, err = Decode(later)
	require.ErrorContains(t, err, "version 9")
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		change func(m *Model)
		want   string
	}{
		{func(m *Model) { m.Features = nil }, "0 features"},
		{func(m *Model) { m.Components = nil }, "0 components"},
		{func(m *Model) { m.Features[1].Name = m.Features[0].Name }, "twice"},
		{func(m *Model) { m.Features[0].Name = "" }, "1 to 64"},
		{func(m *Model) { m.Features[0].Unit = 0 }, "unit 0"},
		{func(m *Model) { m.Features[0].Shift = 63 }, "shift 63"},
		{func(m *Model) { m.Categories[0].Levels = nil }, "0 levels"},
		{func(m *Model) { m.Components[1].ID = m.Components[0].ID }, "the id 1"},
		{func(m *Model) { m.Components[0].Mean[0] = maxMean + 1 }, "a mean"},
		{func(m *Model) { m.Components[0].Factor[1] = -maxFactor - 1 }, "a factor"},
		{func(m *Model) { m.Components[0].Factor[0] = 0 }, "above 0"},
		{func(m *Model) { m.Components[0].Constant = math.MinInt64 }, "the constant"},
		{func(m *Model) { m.Components[0].LogP[0][0] = 1 }, "log probability 1"},
		{func(m *Model) { m.Components[0].LogP[0] = nil }, "0 probabilities for 3 levels"},
		{func(m *Model) { m.Components[0].Mean = nil }, "0 means"},
	} {
		s := source(1)
		m := sample(3, 2, &s)
		c.change(m)
		_, err := m.Encode()
		require.ErrorContains(t, err, c.want)
	}
}

func TestLog2(t *testing.T) {
	for _, x := range []uint64{1, 2, 3, 7, 1000, 1 << 40, math.MaxUint64} {
		require.InDelta(t, math.Log2(float64(x)), float64(log2Q32(x))/(1<<32), 1e-9)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64Range(1, math.MaxUint64-1).Draw(t, "x")
		require.LessOrEqual(t, log2Q32(x), log2Q32(x+1))
		require.InDelta(t, math.Log2(float64(x)), float64(log2Q32(x))/(1<<32), 1e-9)
	})
}

func TestFixedPointIsThatOfBig(t *testing.T) {
	clip := func(x *big.Int) int64 {
		switch {
		case x.Cmp(big.NewInt(math.MaxInt64)) > 0:
			return math.MaxInt64
		case x.Cmp(big.NewInt(math.MinInt64)) < 0:
			return math.MinInt64
		}
		return x.Int64()
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		shift := rapid.UintRange(0, 63).Draw(t, "shift")
		product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		require.Equal(t, clip(new(big.Int).Rsh(product, shift)), mulShift(a, b, shift))
		c := rapid.Int64Range(1, math.MaxInt64).Draw(t, "c")
		require.Equal(t, clip(new(big.Int).Quo(product, big.NewInt(c))), mulDiv(a, b, c))
		require.Equal(t, clip(new(big.Int).Add(big.NewInt(a), big.NewInt(b))), addSat(a, b))
		require.Equal(t, clip(new(big.Int).Sub(big.NewInt(a), big.NewInt(b))), subSat(a, b))
	})
}

// At the limits of the format nothing overflows: the distance is that of unbounded integers.
func TestDistanceDoesNotOverflow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom([]int{1, 2, MaxFeatures}).Draw(t, "d")
		extreme := func(limit int64) int64 {
			return rapid.OneOf(rapid.SampledFrom([]int64{-limit, limit}), rapid.Int64Range(-limit, limit)).Draw(t, "v")
		}
		c := Component{}
		z := make([]int64, d)
		for i := range z {
			z[i] = extreme(Clip)
			c.Mean = append(c.Mean, extreme(maxMean))
			for range i + 1 {
				c.Factor = append(c.Factor, extreme(maxFactor))
			}
		}
		var q big.Int
		at := 0
		for i := range z {
			var sum big.Int
			for j, f := range c.Factor[at : at+i+1] {
				sum.Add(&sum, new(big.Int).Mul(big.NewInt(f), big.NewInt((z[j]-c.Mean[j])>>(ScaledBits-deviationBits))))
			}
			at += i + 1
			require.True(t, sum.IsInt64())
			y := new(big.Int).Rsh(&sum, FactorBits)
			if y.CmpAbs(big.NewInt(maxStandard)) > 0 {
				y.SetInt64(maxStandard)
			}
			q.Add(&q, new(big.Int).Mul(y, y))
		}
		require.True(t, q.IsInt64())
		require.Equal(t, new(big.Int).Rsh(&q, 2*deviationBits-ScoreBits+1).Int64(), c.halfDistance(z))
	})
}

func TestClassifyRefusesOtherRows(t *testing.T) {
	s := source(3)
	m := sample(3, 2, &s)
	_, err := m.Classify([]int64{1}, []int{0})
	require.ErrorContains(t, err, "1 values and the model 3 features")
	_, err = m.Classify([]int64{1, 2, 3}, nil)
	require.ErrorContains(t, err, "0 levels and the model 1 categories")
	_, err = m.Classify([]int64{1, 2, 3}, []int{3})
	require.ErrorContains(t, err, "no level 3")
}

// A tie goes to the first; a single component has no rival.
func TestTiesAndMargins(t *testing.T) {
	s := source(3)
	m := sample(2, 1, &s)
	r, err := m.Classify([]int64{5, 5}, []int{-1})
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), r.Margin)
	twin := m.Components[0]
	twin.ID = 9
	m.Components = append(m.Components, twin)
	r, err = m.Classify([]int64{5, 5}, []int{-1})
	require.NoError(t, err)
	require.Equal(t, 0, r.Index)
	require.Zero(t, r.Margin)
}

// What Decode accepts, Encode writes in the same bytes, and any row can be classified.
func FuzzDecode(f *testing.F) {
	for _, d := range []int{1, 4} {
		s := source(uint64(d))
		b, err := sample(d, 2, &s).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int64(5), int64(Missing))
	}
	f.Fuzz(func(t *testing.T, b []byte, x, y int64) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
		values, levels := make([]int64, len(m.Features)), make([]int, len(m.Categories))
		for i := range values {
			values[i] = x
			if i%2 == 1 {
				values[i] = y
			}
		}
		r, err := m.Classify(values, levels)
		require.NoError(t, err)
		require.GreaterOrEqual(t, r.Margin, int64(0))
	})
}

func BenchmarkClassify(b *testing.B) {
	s := source(1)
	m := sample(11, 8, &s)
	values := make([]int64, 11)
	for i := range values {
		values[i] = s.between(0, 100_000)
	}
	for b.Loop() {
		if _, err := m.Classify(values, []int{1}); err != nil {
			b.Fatal(err)
		}
	}
}
