// Package pricing finds the price at which a provider earns most, from what the matching shows: an offer is a match decision whose
// filter the node passed with capacity free, and it is accepted if the node was chosen. Profit is (price − cost)·demand(price).
//
// The prices are a geometric grid between the provider's floor (its cost) and ceiling: about (T/ln T)^¼ knots for a horizon of T offers
// (Kleinberg and Leighton, The Value of Knowing a Demand Curve, FOCS 2003), each interval refined. The logit of demand is a Gaussian
// process over the logarithm of the price, so that an offer at one price tells of its neighbours; the posterior given the counts is
// Laplace's approximation (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 3.4). Thompson sampling draws a demand curve from
// it and takes the price that is best under the draw, at most once an hour. Counts are discounted, since demand drifts; those of the
// node's class are a start.
package pricing
