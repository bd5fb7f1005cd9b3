package secrets

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// MaxJobValue is the most bytes of a job's secret.
const MaxJobValue = 32 << 10

// MaxJobSecrets is how many secrets an owner can keep.
const MaxJobSecrets = 256

var (
	// ErrJobPath is a path that no secret of a job can have.
	ErrJobPath = errors.New("must be up to 4 names of a-z, 0-9, '.', '_' and '-' with '/' between them, at most 128 bytes, each beginning with a letter or digit")
	// ErrTooMany is an owner who keeps MaxJobSecrets.
	ErrTooMany = fmt.Errorf("you keep %d secrets of jobs, which is the most; remove one that no job needs", MaxJobSecrets)
	// ErrNoStore is a gateway that keeps no secrets of jobs.
	ErrNoStore = errors.New("no secrets of jobs are kept here")
	// ErrNoLoan is a loan that is used up, has run out, or is not for the one who shows it.
	ErrNoLoan = errors.New("the loan is used up, has run out, or is not for this node; ask for another, and if nobody of yours has used it, replace the secret")
)

const maxJobPath = 128

var (
	jobPathForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){0,3}$`)
	ownerForm   = regexp.MustCompile(`^[a-z0-9]{3,90}$`)
)

// CheckJobPath returns ErrJobPath if no secret of a job can have the path, which is relative to its owner.
func CheckJobPath(path string) error {
	if len(path) > maxJobPath || !jobPathForm.MatchString(path) {
		return fmt.Errorf("%.80q: %w", path, ErrJobPath)
	}
	return nil
}

// CheckJobSecret checks the whole name of a secret: its owner, an address, and its path.
func CheckJobSecret(owner, path string) error {
	if !ownerForm.MatchString(owner) {
		return fmt.Errorf("%.100q is no address of an owner", owner)
	}
	return CheckJobPath(path)
}

// CheckNewJobSecret returns an error if a store must not take a value: the wrong owner or path, too large, or ErrTooMany.
func CheckNewJobSecret(ctx context.Context, s JobKeeper, owner, path string, value []byte) error {
	if err := CheckJobSecret(owner, path); err != nil {
		return err
	}
	if len(value) > MaxJobValue {
		return fmt.Errorf("secret %q: %d bytes; use at most %d", path, len(value), MaxJobValue)
	}
	have, err := s.JobSecrets(ctx, owner)
	if err != nil {
		return err
	}
	if len(have) >= MaxJobSecrets && !slices.Contains(have, path) {
		return ErrTooMany
	}
	return nil
}

// JobKeeper keeps what jobs need and only their tasks may know, each secret below its owner's address. It never shows a value.
type JobKeeper interface {
	// PutJobSecret sets a secret as a whole or not at all.
	PutJobSecret(ctx context.Context, owner, path string, value []byte) error
	// JobSecrets lists the paths of an owner in order.
	JobSecrets(ctx context.Context, owner string) ([]string, error)
	// RemoveJobSecret forgets a secret and its past; ErrNotFound if there is none.
	RemoveJobSecret(ctx context.Context, owner, path string) error
}

// JobLender lends secrets to the nodes that run the jobs. Whoever calls it has asked the chain.
type JobLender interface {
	JobKeeper
	// LendJobSecrets makes a loan of exactly these paths; ErrNotFound names one that there is not.
	LendJobSecrets(ctx context.Context, to Borrower, owner string, paths []string) (Loan, error)
	// RecallLoan voids what of a loan has not been opened yet. Further calls do nothing.
	RecallLoan(ctx context.Context, l Loan) error
}

// Borrower is a node that runs an attempt.
type Borrower struct {
	// Attempt names what the loan is for, such as job1…/s0/a1.
	Attempt string
	// Key is the public key of the node's link.
	Key ed25519.PublicKey
	// Recipient, of age's X25519 form, is that of a task on Nomad, which has no key on the chain; what is sealed is then for it and not for Key.
	Recipient string
	// Until is when the slice ends at the latest; zero: no end is known.
	Until time.Time
}

// MaxLoan is how long a loan can be opened.
const MaxLoan = 2 * time.Minute

// Life is how long a loan to the borrower can be opened, in whole seconds; ErrNoLoan if its slice has ended.
func (b Borrower) Life(now time.Time) (time.Duration, error) {
	life := MaxLoan
	if !b.Until.IsZero() {
		life = min(life, b.Until.Sub(now).Truncate(time.Second))
	}
	if life < time.Second {
		return 0, ErrNoLoan
	}
	return life, nil
}

// Loan is what a node opens to get at secrets. Just one of Wrapped and Sealed is set.
type Loan struct {
	// Vault is where Wrapped ones are opened, and CA the authority of its certificate in PEM; empty: the system's.
	Vault     string `json:"vault,omitempty"`
	CA        string `json:"ca,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Wrapped are wrapping tokens, one for each path in order, each good for one opening.
	Wrapped []string `json:"wrapped,omitempty"`
	// Sealed can be opened with the node's key alone.
	Sealed []byte `json:"sealed,omitempty"`
	// Accessors void what is wrapped; they stay with the lender.
	Accessors []string `json:"-"`
	// Expires is when it can be opened no more.
	Expires time.Time `json:"expires"`
}

// Format implements fmt.Formatter: who has the text of a loan may be able to open it.
func (Loan) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(loan)") }

// JobFile is the name of a path as one of a file.
func JobFile(path string) string { return strings.ReplaceAll(path, "/", "~") }

// JobPath is the path that JobFile has named.
func JobPath(file string) string { return strings.ReplaceAll(file, "~", "/") }
