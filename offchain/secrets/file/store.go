// Package file keeps secrets in a directory, encrypted with one passphrase:
//
//	keyring-file/    keys of accounts: the SDK's own file keyring, also read by fogd keys --keyring-backend file
//	transport/       ed25519 keys of links, NAME.age
//	values/          values, NAME.age
//	signing/         secp256r1 keys that do not leave the store, NAME.age
//	jobs/            secrets of jobs, OWNER/NAME.age
//	ca/              the local certificate authority: root.age, and revoked/SERIAL with the time of each revocation
//
// The .age files are encrypted with age's scrypt recipient, so that age -d reads them too. With the Test backend the
// passphrase is the word "test" and the keys lie in keyring-test/: for development networks only.
//
// Open refuses a directory that others can read.
package file

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"filippo.io/age"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Backend says how the store is locked.
type Backend string

const (
	// File locks the store with a passphrase.
	File Backend = keyring.BackendFile
	// Test locks it with a passphrase that everybody knows.
	Test Backend = keyring.BackendTest
)

const (
	transportDir = "transport"
	valuesDir    = "values"
	signingDir   = "signing"
	caDir        = "ca"
	jobsDir      = "jobs"
	suffix       = ".age"

	testPassphrase = "test"
	// 2^15 blocks of scrypt take about a tenth of a second; the test passphrase needs no such care.
	workFactor     = 15
	testWorkFactor = 10
)

// Store is a directory of secrets. It is safe for concurrent use; two processes may use one directory.
type Store struct {
	dir     string
	backend Backend
	source  Passphrase

	mu         sync.Mutex
	passphrase string // empty until first needed
	keys       keyring.Keyring
	held       map[string]secrets.Key // decrypted keys of accounts

	caMu sync.Mutex
	ca   *authority // nil until first needed
	// slots are taken while a file is sealed or opened: each takes 32 MiB for scrypt.
	slots chan struct{}
}

var (
	_ secrets.Writer    = (*Store)(nil)
	_ secrets.Signer    = (*Store)(nil)
	_ secrets.Leases    = (*Store)(nil)
	_ secrets.Issuer    = (*Store)(nil)
	_ secrets.JobLender = (*Store)(nil)
)

// Open opens the store in dir and makes the directory if there is none. passphrase is asked when a secret is first
// read or made; nil is allowed with Test.
func Open(dir string, backend Backend, passphrase Passphrase) (*Store, error) {
	switch {
	case backend != File && backend != Test:
		return nil, fmt.Errorf("secrets: unknown backend %q; take %q or %q", backend, File, Test)
	case backend == File && passphrase == nil:
		return nil, errors.New("secrets: the file backend needs a passphrase; give a file, a variable or a terminal")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	for _, kind := range []string{"", transportDir, valuesDir, signingDir, jobsDir, filepath.Join(caDir, revokedDir)} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, fmt.Errorf("secrets: %w", err)
		}
	}
	if err := checkModes(dir); err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	s := &Store{dir: dir, backend: backend, source: passphrase, held: map[string]secrets.Key{}, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if s.keys, err = s.openKeyring(); err != nil {
		return nil, fmt.Errorf("secrets: keyring in %s: %w", dir, err)
	}
	return s, nil
}

// Dir returns the directory, as --keyring-dir takes it.
func (s *Store) Dir() string { return s.dir }

// TransportKey reads transport/NAME.age.
func (s *Store) TransportKey(_ context.Context, name string) (ed25519.PrivateKey, error) {
	seed, err := s.read(transportDir, name)
	if err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("transport key %q: %d bytes instead of %d; restore the file from a backup", name, len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// CreateTransportKey makes transport/NAME.age.
func (s *Store) CreateTransportKey(_ context.Context, name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	if err := s.write(transportDir, name, key.Seed(), os.Link); err != nil {
		return nil, fmt.Errorf("transport key %q: %w", name, err)
	}
	return key, nil
}

// Read reads values/NAME.age.
func (s *Store) Read(_ context.Context, name string) ([]byte, error) {
	value, err := s.read(valuesDir, name)
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", name, err)
	}
	return value, nil
}

// Write replaces values/NAME.age.
func (s *Store) Write(_ context.Context, name string, value []byte) error {
	if err := s.write(valuesDir, name, value, os.Rename); err != nil {
		return fmt.Errorf("secret %q: %w", name, err)
	}
	return nil
}

func (s *Store) read(kind, name string) ([]byte, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, err
	}
	return s.open(filepath.Join(s.dir, kind, name+suffix))
}

func (s *Store) open(path string) ([]byte, error) {
	sealed, err := os.ReadFile(path) //nolint:gosec // names and paths below the folder have been checked
	if errors.Is(err, os.ErrNotExist) {
		return nil, secrets.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	passphrase, err := s.unlock()
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	s.slots <- struct{}{}
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	<-s.slots
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w; restore the file from a backup", err)
	}
	value, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w; restore the file from a backup", err)
	}
	return value, nil
}

// write seals value into a new file and puts it in its place: os.Rename replaces, os.Link fails if there is one.
func (s *Store) write(kind, name string, value []byte, place func(from, to string) error) error {
	if err := secrets.CheckName(name); err != nil {
		return err
	}
	return s.put(filepath.Join(s.dir, kind), name, value, place)
}

func (s *Store) put(dir, name string, value []byte, place func(from, to string) error) (err error) {
	if len(value) > secrets.MaxValue {
		return fmt.Errorf("%d bytes: %w", len(value), secrets.ErrTooLarge)
	}
	sealed, err := s.seal(value)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.Remove(tmp.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	_, err = tmp.Write(sealed)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := place(tmp.Name(), filepath.Join(dir, name+suffix)); err != nil {
		if errors.Is(err, os.ErrExist) {
			return secrets.ErrExists
		}
		return err
	}
	return durable.SyncDir(dir)
}

func (s *Store) seal(value []byte) ([]byte, error) {
	passphrase, err := s.unlock()
	if err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(workFactor)
	if s.backend == Test {
		recipient.SetWorkFactor(testWorkFactor)
	}
	var sealed bytes.Buffer
	s.slots <- struct{}{}
	w, err := age.Encrypt(&sealed, recipient)
	<-s.slots
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(value); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}
