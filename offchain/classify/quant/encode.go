package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// magic begins every encoded model.
var magic = []byte("fogclass")

// MaxBytes bounds an encoded model.
const MaxBytes = 1 << 22

// Encode returns the one encoding of a valid model: the magic, the version, then all fields in the order of the types, numbers big-endian in their full width, counts
// in 16 bits, names with a length of 8 bits.
func (m *Model) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(bytes.Clone(magic), Version)
	name := func(s string) { b = append(append(b, byte(len(s))), s...) }
	count := func(n int) { b = binary.BigEndian.AppendUint16(b, uint16(n)) }
	numbers := func(v ...int64) {
		for _, x := range v {
			b = binary.BigEndian.AppendUint64(b, uint64(x))
		}
	}
	count(len(m.Features))
	for _, f := range m.Features {
		name(f.Name)
		var log byte
		if f.Log {
			log = 1
		}
		b = append(b, log)
		numbers(f.Unit, f.Center, f.Scale)
		b = append(b, f.Shift)
	}
	count(len(m.Categories))
	for _, c := range m.Categories {
		name(c.Name)
		count(len(c.Levels))
		for _, l := range c.Levels {
			name(l)
		}
	}
	count(len(m.Components))
	for _, c := range m.Components {
		b = binary.BigEndian.AppendUint32(b, c.ID)
		name(c.Name)
		numbers(c.Constant)
		numbers(c.Mean...)
		numbers(c.Factor...)
		for _, logs := range c.LogP {
			numbers(logs...)
		}
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("the model takes %d bytes; allowed are %d: fit fewer classes", len(b), MaxBytes)
	}
	return b, nil
}

// Hash is the claim for an encoded model.
func Hash(encoded []byte) [32]byte { return sha256.Sum256(encoded) }

var errShort = errors.New("the model ends too early; fetch it again")

// Decode reads an encoded model and refuses what Encode would not have written.
func Decode(b []byte) (*Model, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("the model takes %d bytes; allowed are %d", len(b), MaxBytes)
	}
	if !bytes.HasPrefix(b, magic) {
		return nil, errors.New("this is no encoded model: it does not begin with \"fogclass\"")
	}
	r := reader{rest: b[len(magic):]}
	if v := r.u32(); r.err == nil && v != Version {
		return nil, fmt.Errorf("the model is of version %d and this program reads version %d; update the older one", v, Version)
	}
	m := &Model{}
	m.Features = make([]Feature, r.count(MaxFeatures))
	for i := range m.Features {
		f := &m.Features[i]
		f.Name = r.name()
		switch r.byte() {
		case 0:
		case 1:
			f.Log = true
		default:
			r.fail(errors.New("a flag is neither 0 nor 1"))
		}
		f.Unit, f.Center, f.Scale, f.Shift = r.i64(), r.i64(), r.i64(), r.byte()
	}
	m.Categories = make([]Category, r.count(MaxCategories))
	for i := range m.Categories {
		c := &m.Categories[i]
		c.Name = r.name()
		c.Levels = make([]string, r.count(MaxLevels))
		for j := range c.Levels {
			c.Levels[j] = r.name()
		}
	}
	d := len(m.Features)
	m.Components = make([]Component, r.count(MaxComponents))
	for i := range m.Components {
		c := &m.Components[i]
		c.ID, c.Name, c.Constant = r.u32(), r.name(), r.i64()
		c.Mean, c.Factor = r.numbers(d), r.numbers(d*(d+1)/2)
		c.LogP = make([][]int64, len(m.Categories))
		for j := range c.LogP {
			c.LogP[j] = r.numbers(len(m.Categories[j].Levels))
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the model", len(r.rest))
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// reader takes fields off the front; after an error all are zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.rest = err, nil
	}
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.fail(errShort)
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte   { return r.take(1)[0] }
func (r *reader) u32() uint32  { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) i64() int64   { return int64(binary.BigEndian.Uint64(r.take(8))) }
func (r *reader) name() string { return string(r.take(int(r.byte()))) }

// count is below most, or an error.
func (r *reader) count(most int) int {
	n := int(binary.BigEndian.Uint16(r.take(2)))
	if n > most {
		r.fail(fmt.Errorf("a list of %d; allowed are %d", n, most))
		return 0
	}
	return n
}

func (r *reader) numbers(n int) []int64 {
	if len(r.rest) < 8*n {
		r.fail(errShort)
		return nil
	}
	v := make([]int64, n)
	for i := range v {
		v[i] = r.i64()
	}
	return v
}
