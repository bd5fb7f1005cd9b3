package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/copies"
)

// ScrubOptions limits what scrubbing costs.
type ScrubOptions struct {
	// BytesPerSecond is read at most, of the root and of copies each; 0 is no limit.
	BytesPerSecond int
	// Copies reads the copies too.
	Copies bool
}

// ScrubReport counts what a pass read and found.
type ScrubReport struct {
	Contents, Bytes int64
	// Corrupt content had another digest, Missing was not there; Repaired of both came back from a copy.
	Corrupt, Missing, Repaired int64
	// CopiesRead and CopiesCorrupt are of the copies; a corrupt copy is removed and written again by Mirror.
	CopiesRead, CopiesCorrupt int64
	// Lost is held by a repository, and neither here nor on a copy as it should be.
	Lost []artifact.Digest
}

// Scrub reads all content that repositories hold and compares it with its digest, whatever was seen before. What is corrupt is set
// aside and, as what is missing, fetched from a copy.
func (r *Registry) Scrub(ctx context.Context, opts ScrubOptions) (ScrubReport, error) {
	var report ScrubReport
	held, err := r.allHeld()
	if err != nil {
		return report, err
	}
	for _, d := range held {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if err := r.scrubOne(ctx, d, opts, &report); err != nil {
			return report, err
		}
	}
	if opts.Copies {
		for _, m := range r.mirrors.all {
			if err := r.scrubCopy(ctx, m.store, opts, &report); err != nil {
				return report, err
			}
		}
	}
	r.stats.scrubbed(report, r.opts.Now())
	return report, nil
}

// allHeld is the content that repositories hold, in order.
func (r *Registry) allHeld() ([]artifact.Digest, error) {
	repos, err := r.repos()
	if err != nil {
		return nil, err
	}
	seen := map[artifact.Digest]bool{}
	var all []artifact.Digest
	for _, repo := range repos {
		x, err := r.indexOf(repo)
		if err != nil {
			return nil, err
		}
		x.holds(func(d artifact.Digest) {
			if !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		})
	}
	slices.SortFunc(all, func(a, b artifact.Digest) int { return strings.Compare(a.Hex(), b.Hex()) })
	return all, nil
}

func (r *Registry) scrubOne(ctx context.Context, d artifact.Digest, opts ScrubOptions, report *ScrubReport) error {
	there, err := exists(r.blobPath(d))
	if err != nil {
		return err
	}
	r.verified.drop(d)
	f, info, err := r.openHere(ctx, d, opts.BytesPerSecond)
	if err == nil {
		report.Contents++
		report.Bytes += info.Size()
		return f.Close()
	}
	if !errors.Is(err, errMissing) {
		return err
	}
	held, err := r.isHeld(d) // or it was collected meanwhile
	if err != nil || !held {
		return err
	}
	if there {
		report.Corrupt++
	} else {
		report.Missing++
	}
	if err := r.repair(d); err == nil {
		report.Repaired++
		return nil
	} else if !errors.Is(err, errMissing) {
		return err
	}
	report.Lost = append(report.Lost, d)
	return nil
}

// isHeld looks whether a repository still needs the content.
func (r *Registry) isHeld(d artifact.Digest) (bool, error) {
	repos, err := r.repos()
	if err != nil {
		return false, err
	}
	for _, repo := range repos {
		for _, mark := range []string{r.blobMark(repo, d), r.manifestMark(repo, d)} {
			if held, err := exists(mark); err != nil || held {
				return held, err
			}
		}
	}
	return false, nil
}

func (r *Registry) scrubCopy(ctx context.Context, s copies.Store, opts ScrubOptions, report *ScrubReport) error {
	var corrupt []string
	err := s.List(ctx, contentPrefix, func(o copies.Object) error {
		d, err := digestOfKey(o.Key)
		if err != nil {
			corrupt = append(corrupt, o.Key)
			return nil
		}
		body, err := s.Get(ctx, o.Key)
		if errors.Is(err, copies.ErrMissing) {
			return nil
		}
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, newPaced(ctx, body, opts.BytesPerSecond))
		if err = errors.Join(err, body.Close()); err != nil {
			return err
		}
		report.CopiesRead++
		if artifact.Digest(h.Sum(nil)) != d {
			corrupt = append(corrupt, o.Key)
		}
		return nil
	})
	for _, key := range corrupt {
		report.CopiesCorrupt++
		r.opts.Logger.Error("registry removes a corrupt copy", "copy", s.Name(), "key", key)
		err = errors.Join(err, s.Delete(ctx, key))
	}
	return err
}

// paced reads at most so many bytes a second.
type paced struct {
	ctx   context.Context
	from  io.Reader
	limit *rate.Limiter
}

const paceBurst = 1 << 20

func newPaced(ctx context.Context, from io.Reader, perSecond int) io.Reader {
	if perSecond <= 0 {
		return from
	}
	return &paced{ctx, from, rate.NewLimiter(rate.Limit(perSecond), paceBurst)}
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.from.Read(b[:min(len(b), paceBurst)])
	if wait := p.limit.WaitN(p.ctx, n); wait != nil {
		return n, wait
	}
	return n, err
}
