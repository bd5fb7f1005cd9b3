// Package types holds what x/jobs stores and says: jobs, slices, the rules of a match, and the arithmetic of their money. All
// amounts are in ufog, all times Unix seconds, all durations seconds unless a name says ms.
package types
