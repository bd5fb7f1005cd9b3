// Package audit is the gateway's log of who was allowed and denied what. It is a file of JSON lines that is only appended to; each line
// carries the hash of itself and of the line before, so that a line that was changed, removed, added or moved is found.
//
// What the chain of hashes cannot show is that lines are missing at the end, or that the whole file was written anew: whoever must know
// notes the head (number and hash) elsewhere and has it compared (Options.Anchor).
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/durable"
)

// ErrBroken is wrapped by errors of a log that is not what was written.
var ErrBroken = errors.New("the audit log is broken")

// ErrInUse is a log that another process writes.
var ErrInUse = errors.New("another process writes this log: a gateway that runs; stop it")

// Event is what happened.
type Event struct {
	// Actor is an address, a node, or "stranger"; Token the id of the token, From the client's address.
	Actor string `json:"actor"`
	Token string `json:"token,omitempty"`
	From  string `json:"from,omitempty"`
	// Verb and Path of the request, or a word for what is none.
	Verb string `json:"verb"`
	Path string `json:"path"`
	// Allowed by Policies, whose text has PolicyDigest.
	Allowed      bool     `json:"allowed"`
	Policies     []string `json:"policies,omitempty"`
	PolicyDigest string   `json:"policy_digest,omitempty"`
	// Detail says more for people.
	Detail string `json:"detail,omitempty"`
}

// Record is a line of the log.
type Record struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	// Prev is the hash of the record before, zeros for the first.
	Prev string `json:"prev"`
	Event
	// Hash is SHA-256 over the line's bytes without this field.
	Hash string `json:"hash,omitempty"`
}

// Head is the newest record's number and hash.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

const (
	// maxLine is far over what a record takes; fields come from requests whose size is limited.
	maxLine   = 64 << 10
	hashField = `,"hash":"`
	hashTail  = len(hashField) + 2*sha256.Size + len("\"}")
)

func origin() Head { return Head{Hash: hex.EncodeToString(make([]byte, sha256.Size))} }

// line encodes a record that follows head.
func line(head Head, at time.Time, e Event) ([]byte, Head, error) {
	body, err := json.Marshal(Record{Seq: head.Seq + 1, Time: at.UTC(), Prev: head.Hash, Event: e})
	if err != nil {
		return nil, head, err
	}
	sum := sha256.Sum256(body)
	next := Head{Seq: head.Seq + 1, Hash: hex.EncodeToString(sum[:])}
	out := slices.Concat(body[:len(body)-1], []byte(hashField+next.Hash+"\"}\n"))
	if len(out) > maxLine {
		return nil, head, fmt.Errorf("audit record of %d bytes; the most is %d", len(out), maxLine)
	}
	return out, next, nil
}

// check reads a line without its end and returns the record if it follows head.
func check(head Head, text []byte) (Record, error) {
	bad := func(format string, args ...any) (Record, error) {
		return Record{}, fmt.Errorf("%w: record %d: %s", ErrBroken, head.Seq+1, fmt.Sprintf(format, args...))
	}
	if len(text) <= hashTail || !bytes.HasPrefix(text[len(text)-hashTail:], []byte(hashField)) {
		return bad("it does not end with its hash")
	}
	body := append(bytes.Clone(text[:len(text)-hashTail]), '}')
	sum := sha256.Sum256(body)
	var r Record
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return bad("%v", err)
	}
	switch {
	case r.Hash != hex.EncodeToString(sum[:]):
		return bad("its hash is not that of its text; it was changed")
	case r.Prev != head.Hash:
		return bad("it does not follow the record before; records were removed, added or moved")
	case r.Seq != head.Seq+1:
		return bad("its number is %d", r.Seq)
	}
	return r, nil
}

// Report is what Verify found.
type Report struct {
	Records uint64    `json:"records"`
	Head    Head      `json:"head"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	// Torn bytes at the end are of a record that was being written when the machine stopped.
	Torn int64 `json:"torn_bytes,omitempty"`
}

// Verify reads a whole log. With an anchor, a head that was noted before, it also checks that this record is still in the log.
func Verify(in io.Reader, anchor *Head) (Report, error) {
	report, found := Report{Head: origin()}, false
	err := scan(in, &report, func(r Record, _ int64) error {
		if anchor != nil && r.Seq == anchor.Seq {
			if found = r.Hash == anchor.Hash; !found {
				return fmt.Errorf("%w: record %d is %s, not %s as noted; the log was written anew", ErrBroken, r.Seq, r.Hash, anchor.Hash)
			}
		}
		return nil
	})
	if err == nil && anchor != nil && !found {
		err = fmt.Errorf("%w: it ends at record %d, and record %d was noted; its end was cut off", ErrBroken, report.Head.Seq, anchor.Seq)
	}
	return report, err
}

// scan calls visit with each record and the place of its line, and keeps the report.
func scan(in io.Reader, report *Report, visit func(r Record, at int64) error) error {
	reader, at := bufio.NewReaderSize(in, maxLine), int64(0)
	for {
		text, err := reader.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			report.Torn = int64(len(text))
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%w: record %d is longer than %d bytes", ErrBroken, report.Head.Seq+1, maxLine)
		case err != nil:
			return err
		}
		r, err := check(report.Head, text[:len(text)-1])
		if err != nil {
			return err
		}
		if report.Records == 0 {
			report.First = r.Time
		}
		report.Records, report.Head, report.Last = report.Records+1, Head{r.Seq, r.Hash}, r.Time
		if err := visit(r, at); err != nil {
			return err
		}
		at += int64(len(text))
	}
}

// stride is how many records lie between two whose places are remembered.
const stride = 256

// Log is open for appending; it is safe for concurrent use. One process at a time may have it open.
type Log struct {
	now func() time.Time

	mu     sync.Mutex
	file   *os.File
	head   Head
	size   int64
	places []int64 // of records 1, 1+stride, …
	failed error
}

// Open verifies a log and makes it ready to be appended to; a torn end is cut off and noted as a record.
func Open(path string, now func() time.Time) (_ *Log, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path that the operator chose
	if err != nil {
		return nil, err
	}
	l := &Log{now: now, file: f}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
	}()
	if err := lock(f); err != nil {
		return nil, err
	}
	if err := syncName(path); err != nil { // or the name of a new log may be lost with its records
		return nil, err
	}
	report := Report{Head: origin()}
	if err := scan(f, &report, func(r Record, at int64) error {
		if (r.Seq-1)%stride == 0 {
			l.places = append(l.places, at)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	l.head, l.size = report.Head, info.Size()-report.Torn
	if report.Torn == 0 {
		return l, nil
	}
	if err := f.Truncate(l.size); err != nil {
		return nil, err
	}
	return l, l.Append(Event{Actor: "gateway", Verb: "REPAIR", Path: "audit", Allowed: true, Detail: fmt.Sprintf("%d bytes of an unfinished record were cut off", report.Torn)}, true)
}

// syncName makes the name of a file survive a power cut, wherever a link to it leads.
func syncName(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Append writes a record. With lasting it is on disk when Append returns; else it survives the process, not the machine. After a failed
// write nothing is appended any more.
func (l *Log) Append(e Event, lasting bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	text, next, err := line(l.head, l.now(), e)
	if err != nil {
		return err
	}
	if _, err = l.file.WriteAt(text, l.size); err == nil && lasting {
		err = l.file.Sync()
	}
	if err != nil {
		l.failed = fmt.Errorf("the audit log cannot be written: %w", err)
		return l.failed
	}
	if l.head.Seq%stride == 0 {
		l.places = append(l.places, l.size)
	}
	l.head, l.size = next, l.size+int64(len(text))
	return nil
}

// Head returns the newest record's number and hash.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Read returns up to limit records from number from on.
func (l *Log) Read(from uint64, limit int) ([]Record, error) {
	l.mu.Lock()
	head, size := l.head, l.size
	from = max(from, 1)
	if from > head.Seq || limit <= 0 {
		l.mu.Unlock()
		return []Record{}, nil
	}
	start := l.places[(from-1)/stride]
	l.mu.Unlock()
	records := []Record{}
	in := bufio.NewReaderSize(io.NewSectionReader(l.file, start, size-start), maxLine)
	for len(records) < limit {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if r.Seq >= from {
			records = append(records, r)
		}
	}
	return records, nil
}

// Close writes what is pending to disk.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Sync(), l.file.Close())
}
