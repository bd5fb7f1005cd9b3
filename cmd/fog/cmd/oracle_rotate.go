package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/secrets"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// rotateFlags of `fog oracle rotate-key`.
type rotateFlags struct {
	operator, operatorKey string
	fund                  string
	signing, prepare      bool
}

func newRotateKeyCmd(a *app) *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use: "rotate-key", Short: "Make a new feeder key and name it on chain, while the oracle runs", Args: cobra.NoArgs,
		Long: `Make a new feeder key and name it on chain, while the oracle runs.

The new key is called feeder.2, then feeder.3 and so on, in the secrets of the oracle (--secrets). The operator's key, which stays on disk in
this home, signs the change and gives the new account what it needs to exist. A running oracle signs with the new key from its next votes
on. Where the operator's key is not at hand, make the key with --prepare, and name it with fogd tx oracle set-feeder.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name := keyFeeder
			if cmd.Flags().Changed("key") || cmd.Flags().Changed("from") {
				name = a.profile.Key
			}
			return a.rotateKey(cmd.Context(), f, name)
		},
	}
	cmd.Flags().StringVar(&f.operator, "operator", "", "address (fog1…) of the oracle (default: the profile's)")
	cmd.Flags().StringVar(&f.operatorKey, "operator-key", keyOperator, "name of the operator's key")
	cmd.Flags().StringVar(&f.fund, "fund", "1FOG", "what the operator sends to the new account, so that it exists")
	cmd.Flags().BoolVar(&f.signing, "signing", false, "make a key that never leaves the store (with Vault: in Transit)")
	cmd.Flags().BoolVar(&f.prepare, "prepare", false, "only make the key")
	return cmd
}

// rotation is the result of `fog oracle rotate-key`.
type rotation struct {
	Key     string `json:"key"`
	Address string `json:"address"`
	// Before is the feeder until now.
	Before string `json:"before,omitempty"`
	Named  bool   `json:"named"`
	Height int64  `json:"height,omitempty"`
}

func (a *app) rotateKey(ctx context.Context, f rotateFlags, name string) error {
	if f.operator == "" {
		f.operator = a.profile.Operator
	}
	if f.operator == "" {
		return usagef("whose oracle is this? give --operator fog1…")
	}
	fund, err := jobfile.ParseUfog(f.fund)
	if err != nil {
		return usagef("--fund: %w", err)
	}
	c, err := a.chain(ctx)
	if err != nil {
		return err
	}
	resp, err := oracletypes.NewQueryClient(c.Latest()).Oracle(ctx, &oracletypes.QueryOracleRequest{Operator: f.operator})
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	out := rotation{Before: resp.Oracle.Feeder}
	if out.Key, out.Address, err = nextFeeder(ctx, store, name, resp.Oracle.Feeder, f.signing); err != nil {
		return err
	}
	if !f.prepare {
		if out.Height, err = a.nameFeeder(ctx, c, f, out.Address, uint64(fund)); err != nil {
			return err
		}
		out.Named = true
	}
	return a.print(out, func(w io.Writer) error {
		if err := fields(w, "key", out.Key, "address", out.Address, "before", out.Before); err != nil {
			return err
		}
		if !out.Named {
			a.say("name it with the operator's key: fogd tx oracle set-feeder %s --from …, after sending it some ufog so that the account exists", out.Address)
		}
		return nil
	})
}

// nextFeeder returns the first key after the one that the chain names, and makes it if an earlier rotation did not.
func nextFeeder(ctx context.Context, store secrets.Writer, name, present string, signing bool) (key, address string, err error) {
	_, n, err := findFeeder(ctx, store, name, present)
	switch {
	case err == nil:
		n++
	case !errors.Is(err, secrets.ErrNotFound):
		return "", "", err
	case n > 1: // the chain names a key of another store; the last one here was prepared and is not used yet
		n--
	}
	key = secrets.Generation(name, n)
	made, err := secrets.AnyKey(ctx, store, key)
	if errors.Is(err, secrets.ErrNotFound) {
		made, err = makeFeeder(ctx, store, key, signing)
	}
	if err != nil {
		return "", "", err
	}
	view, err := viewKey(key, made)
	return key, view.Address, err
}

func makeFeeder(ctx context.Context, store secrets.Writer, key string, signing bool) (secrets.Key, error) {
	if !signing {
		made, _, err := store.CreateKey(ctx, key) // its words are of no use: a lost feeder is replaced
		return made, err
	}
	signer, ok := store.(secrets.Signer)
	if !ok {
		return nil, usagef("--signing: these secrets have no keys that sign in the store")
	}
	return signer.CreateSigningKey(ctx, key)
}

// findFeeder looks for the key of an address among the generations of a name.
func findFeeder(ctx context.Context, store secrets.Store, name, address string) (secrets.Key, int, error) {
	return secrets.FindGeneration(ctx, store, name, func(key secrets.Key) bool {
		view, err := viewKey(name, key)
		return err == nil && view.Address == address
	})
}

// nameFeeder has the operator name the new feeder; the account must exist before it can sign.
func (a *app) nameFeeder(ctx context.Context, c *chain.Client, f rotateFlags, address string, fund uint64) (int64, error) {
	cold, err := a.profile.OpenSecrets(a.home, a.passphrase)
	if err != nil {
		return 0, err
	}
	sender, err := a.profile.Broadcaster(ctx, c, cold, f.operatorKey)
	if err != nil {
		return 0, a.keyError(f.operatorKey, err)
	}
	if sender.Address() != f.operator {
		return 0, usagef("key %q is that of %s, the operator is %s; give --operator-key, or --prepare", f.operatorKey, sender.Address(), f.operator)
	}
	var msgs []sdk.Msg
	if fund > 0 {
		msgs = append(msgs, &banktypes.MsgSend{FromAddress: f.operator, ToAddress: address, Amount: sdk.NewCoins(escrowtypes.Coin(fund))})
	}
	msgs = append(msgs, &oracletypes.MsgSetFeeder{Operator: f.operator, Feeder: address})
	result, err := sender.Send(ctx, msgs...)
	if err != nil {
		return 0, fmt.Errorf("name the new feeder: %w", err)
	}
	return result.Height, nil
}
