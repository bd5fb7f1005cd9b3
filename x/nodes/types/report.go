package types

import (
	"encoding/binary"
	"encoding/hex"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// MaxListedNodes bounds each list of a liveness vote.
	MaxListedNodes = 20_000
	// MaxNetworkNodes bounds the nodes whose network a vote tells of; others follow in the next epochs.
	MaxNetworkNodes = 2_000
)

// EncodeBenchmarkSubject names a node and a boot: the node's 20 bytes, then the boot id's.
func EncodeBenchmarkSubject(id escrowtypes.ID, boot string) ([]byte, error) {
	if err := ValidateBoot(boot); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(boot)
	if err != nil {
		return nil, err
	}
	return append(id[:], raw...), nil
}

// DecodeBenchmarkSubject reads the subject of a benchmark round.
func DecodeBenchmarkSubject(subject []byte) (escrowtypes.ID, string, error) {
	if len(subject) <= escrowtypes.IDLength {
		return escrowtypes.ID{}, "", ErrInvalidReport.Wrapf("subject has %d bytes; it must have more than %d", len(subject), escrowtypes.IDLength)
	}
	return escrowtypes.ID(subject[:escrowtypes.IDLength]), hex.EncodeToString(subject[escrowtypes.IDLength:]), nil
}

// EncodeLivenessSubject names an epoch.
func EncodeLivenessSubject(epoch uint64) []byte { return binary.BigEndian.AppendUint64(nil, epoch) }

// DecodeLivenessSubject reads the subject of a liveness round.
func DecodeLivenessSubject(subject []byte) (uint64, error) {
	if len(subject) != 8 {
		return 0, ErrInvalidReport.Wrapf("subject has %d bytes; it must have 8", len(subject))
	}
	return binary.BigEndian.Uint64(subject), nil
}

// ValidateBenchmarkBody refuses a body that is no observation of a benchmark.
func ValidateBenchmarkBody(_, body []byte) error {
	_, err := DecodeBenchmarkBody(body)
	return err
}

// DecodeBenchmarkBody reads the body of a vote in a benchmark round and checks its form.
func DecodeBenchmarkBody(body []byte) (BenchmarkObservation, error) {
	var o BenchmarkObservation
	if err := o.Unmarshal(body); err != nil {
		return o, ErrInvalidReport.Wrapf("benchmark observation: %s", err)
	}
	if o.Unreachable && o.Measured != (Benchmark{}) {
		return o, ErrInvalidReport.Wrap("measured has figures although the node was unreachable")
	}
	return o, o.Measured.validate("measured")
}

// ValidateLivenessBody refuses a body that is no observation of an epoch.
func ValidateLivenessBody(_, body []byte) error {
	_, err := DecodeLivenessBody(body)
	return err
}

// DecodeLivenessBody reads the body of a vote in a liveness round and checks its form.
func DecodeLivenessBody(body []byte) (LivenessObservation, error) {
	var o LivenessObservation
	if err := o.Unmarshal(body); err != nil {
		return o, ErrInvalidReport.Wrapf("liveness observation: %s", err)
	}
	return o, o.Validate()
}

// Validate checks the form of an observation.
func (o LivenessObservation) Validate() error {
	if err := increasing("down", o.Down); err != nil {
		return err
	}
	if err := increasing("up", o.Up); err != nil {
		return err
	}
	for i, j := 0, 0; i < len(o.Down) && j < len(o.Up); {
		switch {
		case o.Down[i] == o.Up[j]:
			return ErrInvalidReport.Wrapf("index %d is both down and up", o.Down[i])
		case o.Down[i] < o.Up[j]:
			i++
		default:
			j++
		}
	}
	if len(o.Restarted) > MaxListedNodes {
		return ErrInvalidReport.Wrapf("restarted holds %d; at most %d", len(o.Restarted), MaxListedNodes)
	}
	for i, r := range o.Restarted {
		if r.Index == 0 || (i > 0 && r.Index <= o.Restarted[i-1].Index) {
			return ErrInvalidReport.Wrapf("restarted[%d].index %d must be positive and increase strictly", i, r.Index)
		}
		if err := ValidateBoot(r.Boot); err != nil {
			return ErrInvalidReport.Wrapf("restarted[%d]: %s", i, err)
		}
	}
	return validateNetwork(o.Network)
}

func validateNetwork(list []NetworkObservation) error {
	if len(list) > MaxNetworkNodes {
		return ErrInvalidReport.Wrapf("network holds %d; at most %d", len(list), MaxNetworkNodes)
	}
	for i, n := range list {
		switch {
		case n.Index == 0 || (i > 0 && n.Index <= list[i-1].Index):
			return ErrInvalidReport.Wrapf("network[%d].index %d must be positive and increase strictly", i, n.Index)
		case n.RttUs == 0 || n.RttUs > maxMicros || n.JitterUs > maxMicros:
			return ErrInvalidReport.Wrapf("network[%d]: %d µs of round trip, %d of jitter; the first must be 1 to %d, the other at most that",
				i, n.RttUs, n.JitterUs, uint32(maxMicros))
		case n.LossPpm > million:
			return ErrInvalidReport.Wrapf("network[%d].loss_ppm is %d; at most %d", i, n.LossPpm, uint32(million))
		}
	}
	return nil
}

func increasing(field string, list []uint32) error {
	if len(list) > MaxListedNodes {
		return ErrInvalidReport.Wrapf("%s holds %d; at most %d", field, len(list), MaxListedNodes)
	}
	for i, x := range list {
		if x == 0 || (i > 0 && x <= list[i-1]) {
			return ErrInvalidReport.Wrapf("%s[%d] is %d; indexes must be positive and increase strictly", field, i, x)
		}
	}
	return nil
}

// NewMsgRecordBenchmark makes the report of a benchmark round from the bodies of its votes.
func NewMsgRecordBenchmark(authority string, subject []byte, bodies [][]byte, quorum uint32) (*MsgRecordBenchmark, error) {
	id, boot, err := DecodeBenchmarkSubject(subject)
	if err != nil {
		return nil, err
	}
	msg := &MsgRecordBenchmark{Authority: authority, NodeId: id.Bech32(NodeHRP), Boot: boot, Quorum: quorum}
	for _, body := range bodies {
		o, err := DecodeBenchmarkBody(body)
		if err != nil {
			return nil, err
		}
		msg.Observations = append(msg.Observations, o)
	}
	return msg, nil
}

// NewMsgRecordLiveness makes the report of a liveness round from the bodies of its votes.
func NewMsgRecordLiveness(authority string, subject []byte, bodies [][]byte, quorum uint32) (*MsgRecordLiveness, error) {
	epoch, err := DecodeLivenessSubject(subject)
	if err != nil {
		return nil, err
	}
	msg := &MsgRecordLiveness{Authority: authority, Epoch: epoch, Quorum: quorum}
	for _, body := range bodies {
		o, err := DecodeLivenessBody(body)
		if err != nil {
			return nil, err
		}
		msg.Observations = append(msg.Observations, o)
	}
	return msg, nil
}
