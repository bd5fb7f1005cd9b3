package pricing_test

import (
	"fmt"

	"github.com/foggrid/fogd/offchain/pricing"
)

type counter uint64

func (c *counter) Uint64() uint64 {
	*c = *c*6364136223846793005 + 1442695040888963407
	return uint64(*c ^ *c>>29)
}

// A provider with a cost of 0.1 FOG an hour, whose users take the node in half of the offers below 0.3 FOG and never above.
func Example() {
	source := counter(1)
	p, err := pricing.New(pricing.Config{Cost: 100_000, Ceiling: 1_000_000}, &source)
	if err != nil {
		fmt.Println(err)
		return
	}
	var price uint64
	for hour := range int64(300) {
		price = p.Decide(hour * 3600)
		accepted := 0.0
		if price <= 300_000 {
			accepted = 25
		}
		if err := p.Record(pricing.Count{Price: price, Offers: 50, Accepted: accepted}); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(price > 250_000 && price <= 300_000)
	// Output: true
}
