package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"

	"github.com/foggrid/fogd/offchain/durable"
)

// ErrPassphrase is a passphrase that does not open the store.
var ErrPassphrase = errors.New("the passphrase is wrong; give the one that the store was made with")

// minPassphrase is the SDK's own least length, so that fogd keys takes the passphrase too.
const minPassphrase = 8

// Passphrase returns the passphrase of a store. fresh is true if the store has none yet and gets this one.
type Passphrase func(fresh bool) (string, error)

// FromFile reads the passphrase from a file that only its owner can read; one trailing line end is dropped.
func FromFile(path string) Passphrase {
	return func(bool) (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("passphrase file: %w", err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("passphrase file %s has mode %04o, so others can use it; run: chmod 0600 %s", path, info.Mode().Perm(), path)
		}
		raw, err := os.ReadFile(path) //nolint:gosec // the path that the user named
		if err != nil {
			return "", fmt.Errorf("passphrase file: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r"), nil
	}
}

// FromEnv reads the passphrase from an environment variable.
func FromEnv(variable string) Passphrase {
	return func(bool) (string, error) {
		value, ok := os.LookupEnv(variable)
		if !ok {
			return "", fmt.Errorf("%s is not set; set it to the passphrase", variable)
		}
		return value, nil
	}
}

// Prompt asks on the terminal, twice for a new store. notice is where the question goes: standard error, usually.
func Prompt(terminal *os.File, notice io.Writer) Passphrase {
	ask := func(question string) (string, error) {
		if _, err := fmt.Fprint(notice, question); err != nil {
			return "", err
		}
		line, err := term.ReadPassword(int(terminal.Fd()))
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		_, err = fmt.Fprintln(notice)
		return string(line), err
	}
	return func(fresh bool) (string, error) {
		if !term.IsTerminal(int(terminal.Fd())) {
			return "", errors.New("there is no terminal to ask for the passphrase; give it in a file or a variable")
		}
		first, err := ask("Passphrase of the secrets: ")
		if err != nil || !fresh {
			return first, err
		}
		again, err := ask("Once more, since the store is new: ")
		if err != nil {
			return "", err
		}
		if first != again {
			return "", errors.New("the two passphrases differ; try again")
		}
		return first, nil
	}
}

// unlock returns the passphrase, asked for and checked once.
func (s *Store) unlock() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unlockLocked()
}

// unlockLocked checks the passphrase against the hash that the SDK's file keyring keeps beside its keys, and leaves that
// hash in a new store.
func (s *Store) unlockLocked() (string, error) {
	switch {
	case s.passphrase != "":
		return s.passphrase, nil
	case s.backend == Test:
		s.passphrase = testPassphrase
		return s.passphrase, nil
	}
	path := filepath.Join(s.keyringDir(), "keyhash")
	hash, err := os.ReadFile(path)                                          //nolint:gosec // the path that the user named
	fresh := errors.Is(err, os.ErrNotExist) || err == nil && len(hash) == 0 // written by halves, before anything was locked with it
	if err != nil && !fresh {
		return "", err
	}
	passphrase, err := s.source(fresh)
	if err != nil {
		return "", err
	}
	if fresh {
		if len(passphrase) < minPassphrase {
			return "", fmt.Errorf("the passphrase has %d characters; take at least %d", len(passphrase), minPassphrase)
		}
		if err := s.keepHash(path, passphrase); err != nil {
			return "", err
		}
	} else if err := bcrypt.CompareHashAndPassword(hash, []byte(passphrase)); err != nil {
		return "", fmt.Errorf("%w (%s: %w)", ErrPassphrase, path, err)
	}
	s.passphrase = passphrase
	return passphrase, nil
}

func (s *Store) keepHash(path, passphrase string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(passphrase), bcrypt.DefaultCost)
	if err != nil {
		return fmt.Errorf("hash the passphrase: %w", err)
	}
	if err := os.MkdirAll(s.keyringDir(), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, ".new-*") // mode 0600; beside the keyring, which takes what is in its folder for keys
	if err != nil {
		return err
	}
	_, err = tmp.Write(hash)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return durable.SyncDir(s.keyringDir())
}
