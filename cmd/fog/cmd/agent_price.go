package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent/autoprice"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/secrets"
)

// keyPricing sets prices unless --key names another one.
const keyPricing = "pricing"

const (
	pricingAuto  = "auto"
	pricingFixed = "fixed"
)

// agentPriceFlags say who sets the price.
type agentPriceFlags struct {
	pricing, cost, ceiling string
	// key is the name of the key that sets prices.
	key string
}

func (f *agentPriceFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.pricing, "pricing", pricingFixed, "who sets the price: auto (the demand, at most once an hour) or fixed (you)")
	fl.StringVar(&f.cost, "price-cost", "", "with --pricing auto: what an hour costs you, the floor of the vCPU's price, such as 0.05FOG")
	fl.StringVar(&f.ceiling, "price-ceiling", "", "with --pricing auto: the highest price of a vCPU for an hour")
}

const agentRunHelp = `Serve this machine's node: be measured, run what the chain assigns, until it is interrupted.

With --pricing auto the agent sets the node's price by the demand. The oracles tell it in how many matches the node was on offer at which
price, and in how many it was taken; it looks for the price that earns most between --price-cost and --price-ceiling, and changes it at most
once an hour ("fog node price --dry-run" shows what it knows). Both are prices of a vCPU for an hour; those of memory, storage and GPU
keep the proportion to it that they have, so set that first with "fog node update-price". A node without a price for its CPU goes by
that of its GPU, else of its memory, else of its storage. Prices that you set meanwhile are taken as the new proportion.

Only the owner of a node can set its prices, and the owner's key had better not lie on this machine. So they are set by a key of its own,
"pricing", which the owner allows to:

    fog keys add pricing                     here
    fog node grant-pricing fog1…             with the owner's key, wherever it is

Who gets hold of that key can change what all nodes of the owner ask and declare of themselves, until the grant ends or is revoked ("fog
node revoke-pricing"): no work, work that pays nearly nothing, or a benchmark that fails. It can take no money besides what is in its own
wallet for fees. With --key NAME another key signs; the owner's own needs no grant, but can spend all that the owner has.

What goes wrong with prices is logged, and does not keep the node from its work.`

// terms reads the flags; auto is false if the owner sets the price.
func (f agentPriceFlags) terms() (t autoprice.Terms, auto bool, err error) {
	switch f.pricing {
	case pricingFixed:
		if f.cost != "" || f.ceiling != "" {
			return t, false, usagef("--price-cost and --price-ceiling are for --pricing auto; a fixed price is set with fog node update-price")
		}
		return t, false, nil
	case pricingAuto:
	default:
		return t, false, usagef("--pricing is %q; it must be auto or fixed", f.pricing)
	}
	for _, v := range []struct {
		flag, value string
		to          *uint64
	}{{"price-cost", f.cost, &t.Cost}, {"price-ceiling", f.ceiling, &t.Ceiling}} {
		if v.value == "" {
			return t, false, usagef("--pricing auto needs --price-cost and --price-ceiling: between what prices of a vCPU-hour may it choose?")
		}
		amount, err := jobfile.ParseUfog(v.value)
		if err != nil {
			return t, false, usagef("--%s: %w", v.flag, err)
		}
		*v.to = uint64(amount)
	}
	if t.Ceiling <= t.Cost {
		return t, false, usagef("--price-ceiling is %s and --price-cost %s; the ceiling must be above the cost", fog(t.Ceiling), fog(t.Cost))
	}
	return t, true, nil
}

// pricer gives the terms the key that sets prices.
func (a *app) pricer(ctx context.Context, c *chain.Client, t autoprice.Terms, key string) (*autoprice.Terms, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	if _, err := store.Key(ctx, key); errors.Is(err, secrets.ErrNotFound) && key == keyPricing {
		return nil, hint(fmt.Errorf("there is no key %q in %s", key, a.home),
			"make it with `fog keys add %s` and have the owner allow it to set prices (fog node grant-pricing), or name another one with --key; see fog agent run --help", key)
	}
	sender, err := a.sender(ctx, c, key)
	if err != nil {
		return nil, err
	}
	t.Sender = sender
	return &t, nil
}
