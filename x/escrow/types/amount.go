package types

import "math/bits"

// MulDiv returns ⌊a·b/c⌋ with the product in 128 bits; ErrDivisionByZero or ErrOverflow if there is no such uint64.
func MulDiv(a, b, c uint64) (uint64, error) {
	quo, _, err := mulDivRem(a, b, c)
	return quo, err
}

// MulDivCeil returns ⌈a·b/c⌉ with the product in 128 bits; ErrDivisionByZero or ErrOverflow if there is no such uint64.
func MulDivCeil(a, b, c uint64) (uint64, error) {
	quo, rem, err := mulDivRem(a, b, c)
	if err != nil {
		return 0, err
	}
	if rem == 0 {
		return quo, nil
	}
	return AddChecked(quo, 1)
}

func mulDivRem(a, b, c uint64) (quo, rem uint64, err error) {
	if c == 0 {
		return 0, 0, ErrDivisionByZero.Wrapf("%d·%d/0", a, b)
	}
	hi, lo := bits.Mul64(a, b)
	if hi >= c { // the quotient needs more than 64 bits
		return 0, 0, ErrOverflow.Wrapf("%d·%d/%d", a, b, c)
	}
	quo, rem = bits.Div64(hi, lo, c)
	return quo, rem, nil
}

// AddChecked returns a+b, or ErrOverflow.
func AddChecked(a, b uint64) (uint64, error) {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return 0, ErrOverflow.Wrapf("%d+%d", a, b)
	}
	return sum, nil
}

// SubChecked returns a−b, or ErrUnderflow.
func SubChecked(a, b uint64) (uint64, error) {
	if b > a {
		return 0, ErrUnderflow.Wrapf("%d-%d", a, b)
	}
	return a - b, nil
}
