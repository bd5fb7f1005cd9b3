package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"filippo.io/age"
)

var (
	// ErrKey is a sealed archive that opens with none of the keys.
	ErrKey = errors.New("it is encrypted for another key")
	// ErrAltered is one that is no sealed archive, or not as it was written any more: changed, cut, or longer.
	ErrAltered = errors.New("it is not what was encrypted: changed, cut short, or never sealed")
	// ErrOther is one of something else than what was asked for.
	ErrOther = errors.New("it was sealed as something else")
	// ErrLabel is a line that says of no archive what it is.
	ErrLabel = errors.New("not a label of a sealed archive")
)

const (
	format     = "fog-sealed/1"
	kindInputs = "inputs"
	kindResult = "result"
	maxLabel   = 512
)

// Label says what a sealed archive is.
type Label struct{ kind, of string }

// Inputs labels the inputs of an owner's jobs that open with the key which the owner keeps at a path.
func Inputs(owner, path string) Label { return Label{kindInputs, owner + "/" + path} }

// Result labels what a task of a job left, whichever attempt it was.
func Result(job string, task uint32) Label {
	return Label{kindResult, job + "/" + strconv.FormatUint(uint64(task), 10)}
}

// String is what the label says, for people.
func (l Label) String() string { return fmt.Sprintf("%s %.200s", l.kind, l.of) }

func (l Label) line() (string, error) {
	line := format + " " + l.kind + " " + l.of
	if got, err := parseLabel(line); err != nil || got != l {
		return "", fmt.Errorf("%.300q: %w", l.of, ErrLabel)
	}
	return line + "\n", nil
}

// parseLabel reads a line without its end.
func parseLabel(line string) (Label, error) {
	parts := strings.Split(line, " ")
	if len(line) >= maxLabel || len(parts) != 3 || parts[0] != format || (parts[1] != kindInputs && parts[1] != kindResult) ||
		!strings.Contains(parts[2], "/") || strings.ContainsFunc(parts[2], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Label{}, ErrLabel
	}
	return Label{parts[1], parts[2]}, nil
}

// NewWriter encrypts what is written to it for the recipients, each of whom can open it alone. Close ends the archive; it does not close dst.
func NewWriter(dst io.Writer, label Label, to ...age.Recipient) (io.WriteCloser, error) {
	line, err := label.line()
	if err != nil {
		return nil, err
	}
	w, err := age.Encrypt(dst, to...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := io.WriteString(w, line); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return w, nil
}

// NewReader opens a sealed archive that has the label, with any of the keys. What it yields is authentic piece by piece, and whole only once
// it ends with io.EOF: whoever reads must not use it before. Its errors are those of src, ErrKey, ErrAltered and ErrOther.
func NewReader(src io.Reader, want Label, keys ...age.Identity) (io.Reader, error) {
	from := &source{r: src}
	plain, err := age.Decrypt(from, keys...)
	var foreign *age.NoIdentityMatchError
	switch {
	case from.err != nil:
		return nil, from.err
	case errors.As(err, &foreign):
		return nil, ErrKey
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ErrAltered, err)
	}
	out := &reader{src: from, plain: bufio.NewReaderSize(plain, 64<<10)}
	got, err := out.label()
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("%w: %s, not %s", ErrOther, got, want)
	}
	return out, nil
}

// source remembers an error of where the bytes come from, which says nothing about them.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type reader struct {
	src   *source
	plain *bufio.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.plain.Read(p)
	return n, r.explain(err)
}

func (r *reader) explain(err error) error {
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // io.EOF itself, as readers return it
		return err
	case r.src.err != nil:
		return r.src.err
	}
	return fmt.Errorf("%w (%w)", ErrAltered, err)
}

// label reads the first line.
func (r *reader) label() (Label, error) {
	line, err := r.plain.Peek(maxLabel)
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			return Label{}, r.explain(err)
		}
		return Label{}, fmt.Errorf("%w (%w)", ErrAltered, ErrLabel)
	}
	label, err := parseLabel(string(line[:end]))
	if err != nil {
		return Label{}, fmt.Errorf("%w (%w)", ErrAltered, err)
	}
	_, err = r.plain.Discard(end + 1)
	return label, r.explain(err)
}
