// Package classify sorts machines into classes: robust scaling of what the chain knows of a node, k-means (greedy k-means++ seeding,
// Hamerly's bounds) and Gaussian mixtures fitted by EM (full, diagonal or tied covariances, an inverse-Wishart prior, categorical columns and
// missing values inside the likelihood), the number of classes by BIC or ICL, readable profiles, and identities that outlive a refit.
//
// A fit comes out the same bit for bit on every machine and with any number of threads. Rows are worked on in fixed chunks whose sums
// are added in the order of their index; a product that is added to something is written float64(x*y)+z, so that no compiler fuses the two; exp and log are
// the package's own; of equals the lowest index wins. The random source is passed in and there is no clock.
//
// What goes on chain is the model of package quant, in integers; Quantise makes it from a mixture.
package classify
