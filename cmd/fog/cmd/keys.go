package cmd

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/secrets"
)

// keyView is a key of an account as it is shown.
type keyView struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// PublicKey in hex.
	PublicKey string `json:"public_key"`
	// Mnemonic restores the key; shown only when it is made.
	Mnemonic string `json:"mnemonic,omitempty"`
}

func viewKey(name string, key secrets.Key) (keyView, error) {
	address, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, key.PubKey().Address())
	return keyView{Name: name, Address: address, PublicKey: hex.EncodeToString(key.PubKey().Bytes())}, err
}

func newKeysCmd(a *app) *cobra.Command {
	var signing bool
	add := &cobra.Command{
		Use: "add NAME", Short: "Make a key, and show the words that restore it once", Args: cobra.ExactArgs(1),
		Long: `Make a key, and show the words that restore it once.

With --signing the key signs in the store and never leaves it: with --secrets vault it is one of Vault's Transit engine. Nothing restores such a
key, so it is for hot keys that can be replaced, such as an oracle's feeder (fog oracle rotate-key).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if signing {
				return a.addSigningKey(cmd.Context(), args[0])
			}
			return a.addKey(cmd.Context(), args[0])
		},
	}
	add.Flags().BoolVar(&signing, "signing", false, "make a key that never leaves the store")
	return group("keys", "Make and show the keys of this home",
		add, newKeysLendCmd(a), newKeysEncryptionCmd(a),
		&cobra.Command{
			Use: "import NAME", Short: "Restore a key from its words, read from standard input", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.importKey(cmd.Context(), args[0]) },
		},
		&cobra.Command{
			Use: "list", Short: "List the keys of accounts", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.listKeys(cmd.Context()) },
		},
		&cobra.Command{
			Use: "show NAME", Short: "Show a key's address", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.showKey(cmd.Context(), args[0]) },
		},
		&cobra.Command{
			Use: "transport NAME", Short: "Show the public half of a link's ed25519 key, and make the key if there is none", Args: cobra.ExactArgs(1),
			Long: `Show the public half of a link's ed25519 key in hex, and make the key if there is none. An agent's key is called "agent", an oracle's "transport".`,
			RunE: func(cmd *cobra.Command, args []string) error { return a.transportKey(cmd.Context(), args[0]) },
		},
	)
}

func (a *app) addKey(ctx context.Context, name string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	key, words, err := store.CreateKey(ctx, name)
	if err != nil {
		return err
	}
	v, err := viewKey(name, key)
	if err != nil {
		return err
	}
	if a.json() {
		v.Mnemonic = words
	} else {
		fmt.Fprintf(a.stderr, "These words restore the key. Write them down; they are shown this once and kept nowhere.\n\n%s\n\n", words)
	}
	return a.printKey(v)
}

func (a *app) addSigningKey(ctx context.Context, name string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	signer, ok := store.(secrets.Signer)
	if !ok {
		return usagef("--signing: these secrets have no keys that sign in the store")
	}
	key, err := signer.CreateSigningKey(ctx, name)
	if err != nil {
		return err
	}
	v, err := viewKey(name, key)
	if err != nil {
		return err
	}
	return a.printKey(v)
}

func (a *app) importKey(ctx context.Context, name string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	words, err := a.readWords(ctx)
	if err != nil {
		return err
	}
	key, err := store.ImportKey(ctx, name, words)
	if err != nil {
		return err
	}
	v, err := viewKey(name, key)
	if err != nil {
		return err
	}
	return a.printKey(v)
}

// readWords reads one line, without showing it on a terminal.
func (a *app) readWords(ctx context.Context) (string, error) {
	var line string
	var err error
	if fd := int(a.stdin.Fd()); term.IsTerminal(fd) {
		a.say("The words of the key:")
		line, err = interruptible(ctx, a.stdin, func() (string, error) {
			raw, err := term.ReadPassword(fd)
			return string(raw), err
		})
	} else if line, err = bufio.NewReader(a.stdin).ReadString('\n'); errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("read the words: %w", err)
	}
	if line = strings.Join(strings.Fields(line), " "); line == "" {
		return "", errors.New("no words on standard input; give the 24 words in one line")
	}
	return line, nil
}

func (a *app) showKey(ctx context.Context, name string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	key, err := secrets.AnyKey(ctx, store, name)
	if err != nil {
		return a.keyError(name, err)
	}
	v, err := viewKey(name, key)
	if err != nil {
		return err
	}
	return a.printKey(v)
}

func (a *app) printKey(v keyView) error {
	return a.print(v, func(w io.Writer) error {
		return fields(w, "name", v.Name, "address", v.Address, "public key", v.PublicKey)
	})
}

func (a *app) listKeys(ctx context.Context) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	lister, ok := store.(interface {
		Keys(ctx context.Context) ([]string, error)
	})
	if !ok {
		return usagef("a program may not list what it has in Vault; show a key by its name with `fog keys show NAME`")
	}
	names, err := lister.Keys(ctx)
	if err != nil {
		return err
	}
	list := struct {
		Keys []keyView `json:"keys"`
	}{Keys: []keyView{}}
	rows := [][]string{{"NAME", "ADDRESS"}}
	for _, name := range names {
		key, err := store.Key(ctx, name)
		if err != nil {
			return err
		}
		v, err := viewKey(name, key)
		if err != nil {
			return err
		}
		list.Keys = append(list.Keys, v)
		rows = append(rows, []string{v.Name, v.Address})
	}
	return a.print(list, func(w io.Writer) error {
		if len(list.Keys) == 0 {
			a.say("there is no key in %s; make one with `fog keys add main`", a.home)
			return nil
		}
		return table(w, rows)
	})
}

func (a *app) transportKey(ctx context.Context, name string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	key, err := secrets.EnsureTransportKey(ctx, store, name)
	if err != nil {
		return err
	}
	v := struct {
		Name      string `json:"name"`
		PublicKey string `json:"public_key"`
	}{name, hex.EncodeToString(key.Public().(ed25519.PublicKey))}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.PublicKey)
		return err
	})
}
