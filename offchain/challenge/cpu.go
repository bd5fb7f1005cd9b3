package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/sync/errgroup"
)

// ErrWrongAnswer is wrapped when an agent's answer is not the right one: it skipped work or answered an older challenge.
var ErrWrongAnswer = errors.New("wrong answer to a challenge")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrWrongAnswer}, args...)...)
}

// squaringsPerCall is small enough to notice a cancelled context within some 10 ms.
const squaringsPerCall = 4096

// Square returns x^(2^t) mod n for odd n. It stops with the context's error.
func Square(ctx context.Context, x, n *big.Int, t uint64) (*big.Int, error) {
	y := new(big.Int).Set(x)
	chunk := new(big.Int).Lsh(big.NewInt(1), squaringsPerCall)
	for ; t >= squaringsPerCall; t -= squaringsPerCall {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		y.Exp(y, chunk, n)
	}
	return y.Exp(y, chunk.Lsh(big.NewInt(1), uint(t)), n), ctx.Err()
}

func (t CPUTask) run(ctx context.Context) ([][]byte, error) {
	n := new(big.Int).SetBytes(t.Modulus)
	values := make([][]byte, len(t.Bases))
	group, ctx := errgroup.WithContext(ctx)
	for i, base := range t.Bases {
		group.Go(func() error {
			y, err := Square(ctx, new(big.Int).SetBytes(base), n, t.Squarings)
			if err == nil {
				values[i] = y.FillBytes(make([]byte, modulusSize))
			}
			return err
		})
	}
	return values, group.Wait()
}

// Trapdoor is a modulus N = p·q with its factors: who holds it checks squarings in milliseconds. It must not leave the oracle.
type Trapdoor struct {
	n, p, q, pInvQ *big.Int
}

// NewTrapdoor makes a 2048-bit modulus from the random source; it takes a fraction of a second.
func NewTrapdoor(random io.Reader) (*Trapdoor, error) {
	for {
		p, err := rand.Prime(random, modulusSize*4)
		if err != nil {
			return nil, fmt.Errorf("make the modulus of CPU challenges: %w", err)
		}
		q, err := rand.Prime(random, modulusSize*4)
		if err != nil {
			return nil, fmt.Errorf("make the modulus of CPU challenges: %w", err)
		}
		// rand.Prime sets the two top bits, so the product has full length.
		if p.Cmp(q) != 0 {
			return &Trapdoor{n: new(big.Int).Mul(p, q), p: p, q: q, pInvQ: new(big.Int).ModInverse(p, q)}, nil
		}
	}
}

// task makes a fresh task of one base a core.
func (d *Trapdoor) task(random io.Reader, cores int, squarings uint64) (CPUTask, error) {
	t := CPUTask{Modulus: d.n.FillBytes(make([]byte, modulusSize)), Squarings: squarings, Bases: make([][]byte, cores)}
	for i := range t.Bases {
		x, err := rand.Int(random, d.n)
		if err != nil {
			return CPUTask{}, fmt.Errorf("make a CPU challenge: %w", err)
		}
		t.Bases[i] = x.FillBytes(make([]byte, modulusSize))
	}
	return t, nil
}

// verify checks the answers of all bases at once: with random 64-bit r it compares (∏ xᵢ^rᵢ)^(2^T) and ∏ yᵢ^rᵢ (Bellare, Garay,
// Rabin: Fast batch verification, 1998). A wrong value passes with probability 2⁻⁶⁴, but for its sign, which saves no work.
func (d *Trapdoor) verify(random io.Reader, t CPUTask, values [][]byte) error {
	if len(values) != len(t.Bases) {
		return wrong("%d squaring results for %d bases", len(values), len(t.Bases))
	}
	x, y := big.NewInt(1), big.NewInt(1)
	weight := make([]byte, 8)
	for i, v := range values {
		yi := new(big.Int).SetBytes(v)
		if len(v) != modulusSize || yi.Cmp(d.n) >= 0 {
			return wrong("squaring result %d is not a residue", i)
		}
		r := big.NewInt(1)
		if len(values) > 1 {
			if _, err := io.ReadFull(random, weight); err != nil {
				return fmt.Errorf("check a CPU challenge: %w", err)
			}
			r.SetBytes(weight)
		}
		xi := new(big.Int).SetBytes(t.Bases[i])
		x.Mod(x.Mul(x, xi.Exp(xi, r, d.n)), d.n)
		y.Mod(y.Mul(y, yi.Exp(yi, r, d.n)), d.n)
	}
	if d.squared(x, t.Squarings).Cmp(y) != 0 {
		return wrong("the squarings do not add up")
	}
	return nil
}

// squared is x^(2^t) mod n by the Chinese remainder theorem.
func (d *Trapdoor) squared(x *big.Int, t uint64) *big.Int {
	atP, atQ := squaredModPrime(x, d.p, t), squaredModPrime(x, d.q, t)
	h := atQ.Sub(atQ, atP)
	h.Mod(h.Mul(h, d.pInvQ), d.q)
	return h.Add(h.Mul(h, d.p), atP)
}

func squaredModPrime(x, p *big.Int, t uint64) *big.Int {
	order := new(big.Int).Sub(p, big.NewInt(1))
	e := new(big.Int).Exp(big.NewInt(2), new(big.Int).SetUint64(t), order)
	// x ≡ 0 mod p would need a factor of n, and then any exponent gives 0, but e = 0 must not turn it into 1.
	if e.Sign() == 0 {
		e.Set(order)
	}
	return e.Exp(x, e, p)
}
