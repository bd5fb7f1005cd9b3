package types

import (
	"encoding/binary"
	"fmt"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	outcomeSubjectLength = escrowtypes.IDLength + 8
	matchSubjectLength   = 8
)

// OutcomeSubject is what an outcome round is about: one attempt of one slice.
type OutcomeSubject struct {
	Job     escrowtypes.ID
	Slice   uint32
	Attempt uint32
}

// Encode returns job ‖ slice ‖ attempt, the numbers in 4 bytes each, big-endian.
func (s OutcomeSubject) Encode() []byte {
	b := make([]byte, 0, outcomeSubjectLength)
	b = append(b, s.Job[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Slice)
	return binary.BigEndian.AppendUint32(b, s.Attempt)
}

// DecodeOutcomeSubject reads the subject of an outcome round.
func DecodeOutcomeSubject(b []byte) (OutcomeSubject, error) {
	if len(b) != outcomeSubjectLength {
		return OutcomeSubject{}, ErrInvalidReport.Wrapf("outcome subject has %d bytes; it must have %d", len(b), outcomeSubjectLength)
	}
	return OutcomeSubject{
		Job:     escrowtypes.ID(b[:escrowtypes.IDLength]),
		Slice:   binary.BigEndian.Uint32(b[escrowtypes.IDLength:]),
		Attempt: binary.BigEndian.Uint32(b[escrowtypes.IDLength+4:]),
	}, nil
}

// EncodeMatchSubject returns the height of a match round's snapshot in 8 bytes, big-endian.
func EncodeMatchSubject(height int64) []byte {
	if height < 0 {
		panic(fmt.Sprintf("jobs: height %d", height))
	}
	return binary.BigEndian.AppendUint64(nil, uint64(height))
}

// DecodeMatchSubject reads the height of a match round's snapshot.
func DecodeMatchSubject(b []byte) (int64, error) {
	if len(b) != matchSubjectLength {
		return 0, ErrInvalidReport.Wrapf("match subject has %d bytes; it must have %d", len(b), matchSubjectLength)
	}
	height := binary.BigEndian.Uint64(b)
	if height > 1<<62 {
		return 0, ErrInvalidReport.Wrapf("match subject: height %d is out of range", height)
	}
	return int64(height), nil
}
