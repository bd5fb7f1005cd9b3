package jobclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// ErrNotEncrypted is a result of a job with encrypt that its node has left in the clear, or that is not what a node sealed for this task.
var ErrNotEncrypted = errors.New("the job's results must be encrypted, for this task and this key")

// openedFile is in the folder of the results. It says of each encrypted result which archive was in it, so that what an earlier call brought is known.
const openedFile = ".fog-opened"

// ageMagic begins whatever age has encrypted, and no archive of ours.
var ageMagic = []byte("age-encryption.org/v1\n")

// opener turns archives in the registry into folders.
type opener struct {
	job    string
	sealed bool // the spec says that results are encrypted
	raw    bool
	dir    string
	limits artifact.Limits
	ask    func() (seal.Keys, error)
	keys   seal.Keys
	opened map[artifact.Digest]artifact.Digest // archives by the digest of the encrypted ones
}

func (c *Client) opener(ctx context.Context, job jobstypes.Job, opts FetchOptions, limits artifact.Limits) (*opener, error) {
	o := &opener{job: job.Id, raw: opts.Raw, dir: opts.Dir, limits: limits, ask: opts.Keys}
	spec, err := c.specOf(ctx, job)
	if err != nil {
		return nil, err
	}
	o.sealed = spec.Encrypt != nil
	o.opened, err = readOpened(filepath.Join(opts.Dir, openedFile))
	return o, err
}

// specOf reads the spec of a job; it is empty if the registry has none any more or does not show it, or if it is of another release.
func (c *Client) specOf(ctx context.Context, job jobstypes.Job) (jobfile.Spec, error) {
	digest, err := handover.SpecDigest(job)
	if err != nil {
		return jobfile.Spec{}, nil //nolint:nilerr // the chain has no digest of it
	}
	raw, err := c.Registry.ReadBlob(ctx, c.Registry.ContentRepo(job.Owner, client.RepoSpecs, digest), digest, jobfile.MaxSpecBytes)
	if errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrDenied) {
		return jobfile.Spec{}, nil
	}
	if err != nil {
		return jobfile.Spec{}, fmt.Errorf("spec of %s: %w", job.Id, err)
	}
	spec, err := jobfile.ParseSpec(raw)
	if errors.Is(err, jobfile.ErrSpec) || errors.Is(err, jobfile.ErrNotCanonical) {
		return jobfile.Spec{}, nil
	}
	return spec, err
}

// place is where a task's result goes.
func (o *opener) place(task string) string {
	switch {
	case o.raw && o.sealed:
		return filepath.Join(o.dir, task+".tar.age")
	case o.raw:
		return filepath.Join(o.dir, task+".tar")
	}
	return filepath.Join(o.dir, task)
}

// holds tells whether the result is there already; something else in its place is an error.
func (o *opener) holds(t TaskResult) (bool, error) {
	if !o.raw {
		want, sealed := o.opened[t.Digest]
		if !sealed {
			want = t.Digest
		}
		return holds(t.Dir, want)
	}
	in, err := os.Open(t.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	got, _, err := artifact.DigestReader(in)
	if err = errors.Join(err, in.Close()); err == nil && got != t.Digest {
		err = fmt.Errorf("%s %w", t.Dir, ErrOtherContent)
	}
	return true, err
}

// unpack makes the folder or file of a task from the archive in a file.
func (o *opener) unpack(t TaskResult, file string) (err error) {
	if t.Digest == artifact.EmptyDigest && !o.raw {
		return os.Mkdir(t.Dir, 0o755)
	}
	in := io.NopCloser(bytes.NewReader(emptyArchive))
	if t.Digest != artifact.EmptyDigest {
		if in, err = os.Open(file); err != nil { //nolint:gosec // what was downloaded, named by its digest
			return err
		}
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if o.raw {
		_, _, err := artifact.WriteFileVia(t.Dir, func(w io.Writer) (io.WriteCloser, error) { return unclosed{w}, nil }, func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
		return err
	}
	head := make([]byte, len(ageMagic))
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), in)
	if o.sealed || bytes.Equal(head[:n], ageMagic) {
		return o.open(t, whole)
	}
	return artifact.Unpack(whole, t.Dir, t.Digest, o.limits)
}

// open decrypts while it unpacks. The folder appears only once all has proved authentic, and what it holds is noted before.
func (o *opener) open(t TaskResult, in io.Reader) error {
	if o.keys == nil {
		if o.ask == nil {
			return seal.ErrKey
		}
		keys, err := o.ask()
		if err != nil {
			return err
		}
		o.keys = keys
	}
	plain, err := seal.NewReader(in, seal.Result(o.job, t.Task), o.keys.Identities()...)
	if err == nil {
		err = artifact.UnpackIf(plain, t.Dir, o.limits, func(got artifact.Digest) error { return o.note(t.Digest, got) })
	}
	if errors.Is(err, seal.ErrAltered) || errors.Is(err, seal.ErrOther) {
		return fmt.Errorf("%w: %w; it was not used: dispute the result, or cancel the job", ErrNotEncrypted, err)
	}
	return err
}

type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// note writes down what was in an encrypted result.
func (o *opener) note(sealed, plain artifact.Digest) error {
	f, err := os.OpenFile(filepath.Join(o.dir, openedFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", sealed, plain)
	if err = errors.Join(err, f.Close()); err == nil {
		o.opened[sealed] = plain
	}
	return err
}

func readOpened(file string) (map[artifact.Digest]artifact.Digest, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // in the folder that the user named
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return parseOpened(string(raw)), err
}

// parseOpened leaves out lines that nobody wrote whole.
func parseOpened(text string) map[artifact.Digest]artifact.Digest {
	found := map[artifact.Digest]artifact.Digest{}
	for line := range strings.Lines(text) {
		sealed, plain, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		from, err1 := artifact.ParseDigest(sealed)
		to, err2 := artifact.ParseDigest(plain)
		if err1 == nil && err2 == nil {
			found[from] = to
		}
	}
	return found
}
