package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/seal"
	"github.com/foggrid/fogd/offchain/secrets"
)

// encryptionKeys is what the developer's keys for results are called among the values of the store.
const encryptionKeys = "encryption"

const maxKeysText = 64 << 10

// encryptionFlags of `fog keys encryption`.
type encryptionFlags struct{ fresh, export, restore bool }

func newKeysEncryptionCmd(a *app) *cobra.Command {
	var f encryptionFlags
	cmd := &cobra.Command{
		Use: "encryption", Short: "Show the public key that results of jobs with encrypt are for, and make the key if there is none", Args: cobra.NoArgs,
		Long: `Show the public key that inputs and results of jobs with "encrypt: true" are encrypted for, and make the key if there is none.

Nothing else opens such results: without the key they are lost. Keep a copy of what --export prints where nobody else reads it; --import
takes it from standard input on another machine. With --new a new key takes the place of the one before, which stays to open what was
encrypted for it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.fresh && f.export || f.fresh && f.restore || f.export && f.restore {
				return usagef("--new, --export and --import are three different things; give one of them")
			}
			return a.encryption(cmd.Context(), f)
		},
	}
	cmd.Flags().BoolVar(&f.fresh, "new", false, "make a new key, and keep the old ones to open what was encrypted for them")
	cmd.Flags().BoolVar(&f.export, "export", false, "print the private keys, the one in use first")
	cmd.Flags().BoolVar(&f.restore, "import", false, "add the private keys on standard input, as --export prints them; the first is used if there was none")
	return cmd
}

func (a *app) encryption(ctx context.Context, f encryptionFlags) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	keys, err := a.encryptionKeys(ctx)
	if errors.Is(err, errNoEncryptionKey) {
		err = nil
	}
	if err != nil {
		return err
	}
	had := len(keys)
	switch {
	case f.export:
		if had == 0 {
			return errNoEncryptionKey
		}
		_, err := a.stdout.Write(keys.Text())
		return err
	case f.restore:
		raw, err := io.ReadAll(io.LimitReader(a.stdin, maxKeysText))
		if err != nil {
			return err
		}
		more, err := seal.ParseKeys(raw)
		if err != nil {
			return fmt.Errorf("standard input is %w", err)
		}
		if keys, err = seal.ParseKeys(append(keys.Text(), more.Text()...)); err != nil {
			return err
		}
	case f.fresh || had == 0:
		key, err := seal.NewKey()
		if err != nil {
			return err
		}
		if keys, err = seal.ParseKeys(append(seal.Keys{key}.Text(), keys.Text()...)); err != nil {
			return err
		}
	}
	if len(keys) != had {
		if err := store.Write(ctx, encryptionKeys, keys.Text()); err != nil {
			return err
		}
	}
	if len(keys) != had && !f.restore {
		a.say("a new key; without it the results are lost. Keep what `fog keys encryption --export` prints where nobody else reads it")
	}
	v := struct {
		Recipient string `json:"recipient"`
		Keys      int    `json:"keys"`
	}{keys.Recipient(), len(keys)}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.Recipient)
		return err
	})
}

// errNoEncryptionKey is a home without a key for results.
var errNoEncryptionKey = errors.New("there is no key for encryption in this home; make one with `fog keys encryption`, or bring yours with `fog keys encryption --import`")

// encryptionKeys are the developer's, the one in use first.
func (a *app) encryptionKeys(ctx context.Context) (seal.Keys, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	raw, err := store.Read(ctx, encryptionKeys)
	if errors.Is(err, secrets.ErrNotFound) {
		return nil, errNoEncryptionKey
	}
	if err != nil {
		return nil, err
	}
	keys, err := seal.ParseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("the value %q of this home's secrets is %w", encryptionKeys, err)
	}
	return keys, nil
}
