package chain

import (
	"context"
	"errors"
	"iter"

	"github.com/cosmos/cosmos-sdk/types/query"
)

// PageLimit is the number of items that Pages asks for at once.
const PageLimit = 500

// Paged is a response of a query that comes in pages.
type Paged interface {
	GetPagination() *query.PageResponse
}

// Pages walks all pages of a query: call sends it with the page given. The pages of a changing list fit together only
// if they are read at one height (Client.AtHeight). It ends after the last page or the first error.
//
//	for page, err := range chain.Pages(ctx, func(ctx context.Context, p *query.PageRequest) (*types.QueryNodesResponse, error) {
//		return nodes.Nodes(ctx, &types.QueryNodesRequest{Pagination: p})
//	}) { … }
func Pages[R Paged](ctx context.Context, call func(context.Context, *query.PageRequest) (R, error)) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		req := &query.PageRequest{Limit: PageLimit}
		for {
			page, err := call(ctx, req)
			if err != nil {
				yield(page, err)
				return
			}
			if !yield(page, nil) {
				return
			}
			next := page.GetPagination().GetNextKey()
			if len(next) == 0 {
				return
			}
			if string(next) == string(req.Key) {
				yield(page, errors.New("chain: the node answers with the same page again; report it as a bug of the query"))
				return
			}
			req = &query.PageRequest{Key: next, Limit: PageLimit}
		}
	}
}

// Collect returns the items of all pages; items takes them from one page.
func Collect[R Paged, T any](
	ctx context.Context, call func(context.Context, *query.PageRequest) (R, error), items func(R) []T,
) ([]T, error) {
	var all []T
	for page, err := range Pages(ctx, call) {
		if err != nil {
			return nil, err
		}
		all = append(all, items(page)...)
	}
	return all, nil
}
