package registry

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/shirou/gopsutil/v4/disk"
)

// room is what an upload may still take: of its quota, which what others upload counts against too, and of the disk.
type room struct {
	io.Reader
	r *Registry
	u *upload
	// quota holds if it limits; used is what was there when the request came.
	quota   Quota
	limited bool
	used    int64
	// looked is how much has come since the disk was looked at.
	looked int64
}

// diskLook is how much an upload takes between two looks at the disk.
const diskLook = 16 << 20

// keepInodes is how many files more there must be room for on a disk of which pushes leave something free.
const keepInodes = 10_000

// noRoom is why a body was not taken to its end, which was not the client's fault.
type noRoom struct{ error }

func (e *noRoom) Unwrap() error { return e.error }

// roomFor bounds the body of a request to an upload, which the caller has locked.
func (r *Registry) roomFor(u *upload, body io.Reader) (io.Reader, error) {
	m := &room{Reader: body, r: r, u: u}
	var err error
	if m.quota, m.limited, err = r.quotaOf(u.repo); err != nil {
		return nil, err
	}
	if m.limited {
		if m.used, err = r.Usage(m.quota.Below); err != nil {
			return nil, fmt.Errorf("measure %s: %w", m.quota.Below, err)
		}
	}
	return m, r.leavesDisk()
}

// Read implements io.Reader.
func (m *room) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if held, ok := m.r.uploads.hold(m, int64(n)); !ok {
		return 0, &noRoom{quotaExceeded(m.quota, m.used+held)}
	}
	if m.looked += int64(n); m.looked >= diskLook {
		m.looked = 0
		if err := m.r.leavesDisk(); err != nil {
			return 0, &noRoom{err}
		}
	}
	return n, err
}

// below tells whether a repository is one of those that share a quota.
func (q Quota) below(repo string) bool {
	return repo == q.Below || strings.HasPrefix(repo, q.Below+"/")
}

// hold notes that an upload has grown, unless its quota has no room; held is what all that share the quota hold.
func (t *uploadTable) hold(m *room, n int64) (held int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.limited {
		for _, u := range t.sessions {
			if m.quota.below(u.repo) {
				held += u.held
			}
		}
		if m.used+held+n > m.quota.Bytes {
			return held, false
		}
	}
	m.u.held += n
	return held, true
}

// holds corrects what an upload holds to what it kept.
func (t *uploadTable) holds(u *upload) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u.held = u.size
}

// leavesDisk is ENOSPC once the disk has no more than what pushes leave to others.
func (r *Registry) leavesDisk() error {
	if r.opts.KeepFree <= 0 {
		return nil
	}
	usage, err := disk.Usage(r.root)
	if err != nil {
		return errors.Join(errors.New("the disk of the registry cannot be measured"), err)
	}
	if usage.Free < uint64(r.opts.KeepFree) {
		return fmt.Errorf("the registry's disk has %d bytes left, and pushes leave %d to others: %w", usage.Free, r.opts.KeepFree, syscall.ENOSPC)
	}
	if usage.InodesTotal > 0 && usage.InodesFree < keepInodes { // names of repositories and tags count against no quota
		return fmt.Errorf("the registry's disk has room for %d more files, and pushes leave %d to others: %w", usage.InodesFree, keepInodes, syscall.ENOSPC)
	}
	return nil
}
