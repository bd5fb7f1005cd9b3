package types

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode"
)

const (
	// RoundKindModel is the kind of the rounds in which oracles agree on a model of the classes.
	RoundKindModel = "model"

	// MaxModelBytes bounds an encoded model, MaxClasses what it tells apart, MaxProfile a profile in bytes.
	MaxModelBytes = 128 << 10
	MaxClasses    = 64
	MaxProfile    = 64
	// MaxClassMoves is the most nodes that one report moves; those that are left follow in the next.
	MaxClassMoves = 4_000
)

// EncodeModelSubject names a version and the height of the state that it is fitted to.
func EncodeModelSubject(version uint64, height int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, version), uint64(height)) //nolint:gosec // a height
}

// DecodeModelSubject reads the subject of a model round.
func DecodeModelSubject(subject []byte) (version uint64, height int64, err error) {
	if len(subject) != 16 {
		return 0, 0, ErrInvalidReport.Wrapf("subject has %d bytes; it must have 16", len(subject))
	}
	return binary.BigEndian.Uint64(subject), int64(binary.BigEndian.Uint64(subject[8:])), nil
}

// ValidateModelBody refuses a body that is no report on its subject.
func ValidateModelBody(subject, body []byte) error {
	version, height, err := DecodeModelSubject(subject)
	if err != nil {
		return err
	}
	report, err := DecodeModelBody(body)
	if err != nil {
		return err
	}
	if report.Version != version || report.Height != height {
		return ErrInvalidReport.Wrapf("version %d at height %d; the round is about version %d at height %d",
			report.Version, report.Height, version, height)
	}
	return nil
}

// DecodeModelBody reads the body of a vote in a model round and checks its form.
func DecodeModelBody(body []byte) (ModelReport, error) {
	var r ModelReport
	if err := r.Unmarshal(body); err != nil {
		return r, ErrInvalidReport.Wrapf("model report: %s", err)
	}
	return r, r.Validate()
}

// NewMsgRecordModel makes the report of a model round from the body that the quorum voted for.
func NewMsgRecordModel(authority string, body []byte) (*MsgRecordModel, error) {
	report, err := DecodeModelBody(body)
	return &MsgRecordModel{Authority: authority, Report: report}, err
}

// Validate checks the form of a report.
func (r ModelReport) Validate() error {
	if err := validateModel(r.Model, r.Classes, r.NextClass); err != nil {
		return err
	}
	if len(r.Moves) > MaxClassMoves {
		return ErrInvalidReport.Wrapf("moves: %d; at most %d", len(r.Moves), MaxClassMoves)
	}
	moved := 0
	for i, m := range r.Moves {
		if i > 0 && compareMoves(r.Moves[i-1], m) >= 0 {
			return ErrInvalidReport.Wrapf("moves[%d] must increase strictly by class and candidate", i)
		}
		if !hasClass(r.Classes, m.Class) || m.Candidate == m.Class || m.Candidate != 0 && !hasClass(r.Classes, m.Candidate) {
			return ErrInvalidReport.Wrapf("moves[%d]: class %d and candidate %d must be two of the classes, or the candidate 0",
				i, m.Class, m.Candidate)
		}
		if len(m.Nodes) == 0 {
			return ErrInvalidReport.Wrapf("moves[%d].nodes: none; leave the move out", i)
		}
		if err := increasing("moves.nodes", m.Nodes); err != nil {
			return err
		}
		moved += len(m.Nodes)
	}
	if moved > MaxClassMoves {
		return ErrInvalidReport.Wrapf("moves: %d nodes; at most %d", moved, MaxClassMoves)
	}
	return nil
}

func compareMoves(a, b ClassMove) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Candidate, b.Candidate))
}

func hasClass(classes []Class, id uint32) bool {
	_, found := slices.BinarySearchFunc(classes, id, func(c Class, id uint32) int { return cmp.Compare(c.Id, id) })
	return found
}

func validateModel(encoded []byte, classes []Class, next uint32) error {
	if len(encoded) == 0 || len(encoded) > MaxModelBytes {
		return ErrInvalidReport.Wrapf("model has %d bytes; it must have 1 to %d", len(encoded), MaxModelBytes)
	}
	if len(classes) == 0 || len(classes) > MaxClasses {
		return ErrInvalidReport.Wrapf("classes: %d; there must be 1 to %d", len(classes), MaxClasses)
	}
	for i, c := range classes {
		switch {
		case c.Id == 0 || i > 0 && c.Id <= classes[i-1].Id:
			return ErrInvalidReport.Wrapf("classes[%d].id %d must be positive and increase strictly", i, c.Id)
		case c.Id >= next:
			return ErrInvalidReport.Wrapf("classes[%d].id %d must be below next_class %d", i, c.Id, next)
		case len(c.Profile) > MaxProfile || !printable(c.Profile):
			return ErrInvalidReport.Wrapf("classes[%d].profile %q must be at most %d bytes of printable text", i, c.Profile, MaxProfile)
		}
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Hash is the SHA-256 of the encoded model.
func (m Model) Hash() []byte {
	sum := sha256.Sum256(m.Encoded)
	return sum[:]
}

// Validate names the first thing that no report leaves behind.
func (m Model) Validate() error {
	if m.Version == 0 || m.Height < 0 || m.RecordedHeight < m.Height {
		return ErrInvalidField.Wrapf("version %d fitted at %d, recorded at %d", m.Version, m.Height, m.RecordedHeight)
	}
	return validateModel(m.Encoded, m.Classes, m.NextClass)
}
