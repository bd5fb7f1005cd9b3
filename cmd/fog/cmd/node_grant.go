package cmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/nodeclient"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// grantFlags of `fog node grant-pricing`.
type grantFlags struct {
	last  time.Duration
	fees  string
	drain bool
}

func newGrantPricingCmd(a *app) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use: "grant-pricing ADDRESS", Short: "Let a key set the prices and the hours of your nodes, for fog agent run", Args: cobra.ExactArgs(1),
		Long: `Let a key set the prices of your nodes, for "fog agent run --pricing auto", and announce when they are offline, for --hours.

The chain's grant (authz) is for MsgUpdateNode: the key can change prices and hours, and also attributes, capacity, what is declared, and the
location, of all your nodes. It cannot register, drain or retire them, and cannot move your money. With --drain it can have them take no more
work, and take work again, for --pause-when-in-use. Granting again renews the time.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.grantPricing(cmd.Context(), args[0], f) },
	}
	cmd.Flags().DurationVar(&f.last, "for", 365*24*time.Hour, "how long the grant holds")
	cmd.Flags().BoolVar(&f.drain, "drain", false, "also let it drain and resume your nodes, for fog agent run --pause-when-in-use")
	cmd.Flags().StringVar(&f.fees, "fees", "1FOG", "what is sent to the key's wallet along with it, to pay for its transactions; 0FOG sends nothing")
	return cmd
}

// addressOf checks the address of a key.
func addressOf(text string) error {
	if _, err := sdk.GetFromBech32(text, chain.Bech32Prefix); err != nil {
		return usagef("%q is not an address (fog1…): %w; see fog keys show %s", text, err, keyPricing)
	}
	return nil
}

func (a *app) grantPricing(ctx context.Context, key string, f grantFlags) error {
	if err := addressOf(key); err != nil {
		return err
	}
	if f.last <= 0 {
		return usagef("--for is %s; it must be more than zero", f.last)
	}
	fees, err := jobfile.ParseUfog(f.fees)
	if err != nil {
		return usagef("--fees: %w", err)
	}
	c, err := a.nodeClient(ctx)
	if err != nil {
		return err
	}
	owner := c.Sender.Address()
	if owner == key {
		return usagef("%s is your own address, which needs no grant; name the key that the agent has", key)
	}
	until := time.Now().Add(f.last).Truncate(time.Second).UTC()
	msgs, err := nodeclient.GrantPricing(owner, key, until, f.drain)
	if err != nil {
		return err
	}
	if fees > 0 {
		msgs = append(msgs, &banktypes.MsgSend{FromAddress: owner, ToAddress: key, Amount: sdk.NewCoins(escrowtypes.Coin(uint64(fees)))})
	}
	res, err := c.Sender.Send(ctx, msgs...)
	if err != nil {
		return err
	}
	v := struct {
		Owner  string    `json:"owner"`
		Key    string    `json:"key"`
		Until  time.Time `json:"until"`
		Fees   uint64    `json:"fees"`
		Drain  bool      `json:"drain"`
		Height int64     `json:"height"`
		TxHash string    `json:"tx_hash"`
	}{owner, key, until, uint64(fees), f.drain, res.Height, res.Hash}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s may set prices and hours of the nodes of %s until %s, and has got %s for fees\n", key, owner, until.Format(time.RFC3339), fog(v.Fees))
		return err
	})
}

func newRevokePricingCmd(a *app) *cobra.Command {
	var drain bool
	cmd := &cobra.Command{
		Use: "revoke-pricing ADDRESS", Short: "Take the right to set prices and hours back from a key", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := addressOf(args[0]); err != nil {
				return err
			}
			c, err := a.nodeClient(cmd.Context())
			if err != nil {
				return err
			}
			res, err := c.Sender.Send(cmd.Context(), nodeclient.RevokePricing(c.Sender.Address(), args[0], drain)...)
			if err != nil {
				return err
			}
			return a.print(sent{Height: res.Height, TxHash: res.Hash}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s can no longer set prices and hours for %s\n", args[0], c.Sender.Address())
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&drain, "drain", false, "take back what grant-pricing --drain let, too")
	return cmd
}
