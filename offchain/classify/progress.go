package classify

import "context"

// Step is where a fit is: a pass over rows, for a number of classes.
type Step struct {
	K    int // of k-means within the fit of a mixture, the pieces that a start cuts the rows into
	Rows int // of the sample, or all
	Pass int // of those over these rows, from 0
}

type stepKey struct{}

// WithProgress returns a context under which fits call f before each pass over rows. A fit makes many short runs on samples and few over all rows, and
// cannot know how many passes are left.
func WithProgress(ctx context.Context, f func(Step)) context.Context {
	return context.WithValue(ctx, stepKey{}, f)
}

// begin reports a pass, or why the fit must end before it.
func begin(ctx context.Context, s Step) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f, ok := ctx.Value(stepKey{}).(func(Step)); ok {
		f(s)
	}
	return nil
}
