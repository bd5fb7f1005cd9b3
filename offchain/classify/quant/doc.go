// Package quant is the model of the classes as it goes on chain: integers only, with the scaling of the features, in one canonical encoding.
// Whoever holds the bytes classifies a node alike, bit for bit, on any machine.
//
// A component is a normal distribution of the scaled numeric features with independent categories. Its score at a row, in nats, is
//
//	Constant + Σ LogP[category][level] - ½ |Factor·(z - Mean)|²
//
// with z the scaled row. Fixed point is written Qn: an integer that stands for itself over 2ⁿ. Decode accepts a model only if no row whatever can make
// the arithmetic overflow.
package quant
