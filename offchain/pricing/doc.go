// Package pricing finds the price at which a provider earns most, from what the matching shows: an offer is a match decision that the
// node could have won at some price, and it is accepted if the node was chosen. Profit is (price − cost)·demand(price), which
// is the profit of an hour only if the number of offers does not depend on the price. So the decisions for which the node asked
// too much count as offers, and those that found it full, as a lower price fills it sooner (match.Offers: Offered + Missed).
//
// A node has up to four prices, a pricer handles one: Mix keeps the others in proportion.
//
// The prices are a geometric grid between the provider's floor (its cost) and ceiling: about (T/ln T)^¼ knots for a horizon of T offers
// (Kleinberg and Leighton, The Value of Knowing a Demand Curve, FOCS 2003), each interval refined. The logit of demand is a Gaussian
// process over the logarithm of the price, so that an offer at one price tells of its neighbours; the posterior given the counts is
// Laplace's approximation (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 3.4). Thompson sampling draws a demand curve from
// it and takes the price that is best under the draw, at most once an hour. Counts are discounted, since demand drifts; those of the
// node's class are a start.
package pricing
