package types

import (
	"crypto/sha256"

	"cosmossdk.io/core/address"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// MaxSliceTasks is the most tasks of a slice.
	MaxSliceTasks = 256
	// MaxBatchItems is the most items of a match batch that any param can allow.
	MaxBatchItems = 2_000
	// MaxRunnersUp is the most nodes that an item names besides the one it takes.
	MaxRunnersUp = 4
	// MaxVoters bounds the quorum that a report names.
	MaxVoters = 64
)

// DecodeMatchBody reads the body of a vote in a match round and checks its form.
func DecodeMatchBody(body []byte) (MatchBatch, error) {
	var batch MatchBatch
	if err := batch.Unmarshal(body); err != nil {
		return MatchBatch{}, ErrInvalidReport.Wrapf("match batch: %s", err)
	}
	return batch, batch.Validate()
}

// ValidateMatchBody refuses a body that is no match batch for the subject.
func ValidateMatchBody(subject, body []byte) error {
	height, err := DecodeMatchSubject(subject)
	if err != nil {
		return err
	}
	batch, err := DecodeMatchBody(body)
	if err != nil {
		return err
	}
	if batch.Height != height {
		return ErrInvalidReport.Wrapf("height: %d; the round asks for %d", batch.Height, height)
	}
	return nil
}

// Validate checks the form of a batch.
func (b MatchBatch) Validate() error {
	if b.Height <= 0 {
		return ErrInvalidReport.Wrapf("height: %d; it must be positive", b.Height)
	}
	if len(b.Items) > MaxBatchItems {
		return ErrInvalidReport.Wrapf("items: %d; at most %d", len(b.Items), MaxBatchItems)
	}
	if b.Policy != "" {
		if err := validateLabel("policy", b.Policy); err != nil {
			return ErrInvalidReport.Wrap(err.Error())
		}
	}
	for i, item := range b.Items {
		if _, err := escrowtypes.ParseID(JobHRP, item.JobId); err != nil {
			return ErrInvalidReport.Wrapf("items[%d].job_id: %s", i, err)
		}
		if item.Count == 0 || item.Count > MaxSliceTasks {
			return ErrInvalidReport.Wrapf("items[%d].count: %d; it must be 1 to %d", i, item.Count, MaxSliceTasks)
		}
		if item.NodeIndex == 0 {
			return ErrInvalidReport.Wrapf("items[%d].node_index: 0; indexes start at 1", i)
		}
		if len(item.RunnersUp) > MaxRunnersUp {
			return ErrInvalidReport.Wrapf("items[%d].runners_up: %d; at most %d", i, len(item.RunnersUp), MaxRunnersUp)
		}
	}
	return nil
}

// DecodeOutcomeBody reads the body of a vote in an outcome round and checks its form.
func DecodeOutcomeBody(body []byte) (Outcome, error) {
	var outcome Outcome
	if err := outcome.Unmarshal(body); err != nil {
		return Outcome{}, ErrInvalidReport.Wrapf("outcome: %s", err)
	}
	return outcome, outcome.Validate()
}

// ValidateOutcomeBody refuses a body that is no outcome.
func ValidateOutcomeBody(subject, body []byte) error {
	if _, err := DecodeOutcomeSubject(subject); err != nil {
		return err
	}
	_, err := DecodeOutcomeBody(body)
	return err
}

// Validate checks the form of an outcome; whether its tasks are those of the slice is checked when it is executed.
func (o Outcome) Validate() error {
	if len(o.ResultRoot) != sha256.Size {
		return ErrInvalidReport.Wrapf("result_root: %d bytes; it must have %d", len(o.ResultRoot), sha256.Size)
	}
	if len(o.Failures) > MaxSliceTasks {
		return ErrInvalidReport.Wrapf("failures: %d; at most %d", len(o.Failures), MaxSliceTasks)
	}
	for i, f := range o.Failures {
		if i > 0 && f.Task <= o.Failures[i-1].Task {
			return ErrInvalidReport.Wrapf("failures[%d].task: %d after %d; they must increase strictly", i, f.Task, o.Failures[i-1].Task)
		}
		if f.Reason <= FAILURE_REASON_UNSPECIFIED || f.Reason > FAILURE_REASON_NODE {
			return ErrInvalidReport.Wrapf("failures[%d].reason: %d is not known", i, f.Reason)
		}
		if exited := f.Reason == FAILURE_REASON_EXIT; exited != (f.ExitCode != 0) || f.ExitCode > 255 {
			return ErrInvalidReport.Wrapf("failures[%d].exit_code: %d with %s; it must be 1 to 255 for an exit, else 0", i, f.ExitCode, f.Reason)
		}
	}
	return nil
}

// Requeued tells whether a failure says nothing about the task: it is queued again, unpaid.
func (r FailureReason) Requeued() bool {
	return r == FAILURE_REASON_NOT_STARTED || r == FAILURE_REASON_NODE
}

// NewMsgRecordMatches makes the report of a match round from the body that a quorum attested.
func NewMsgRecordMatches(authority string, round uint64, body []byte, voters []string) (*MsgRecordMatches, error) {
	batch, err := DecodeMatchBody(body)
	if err != nil {
		return nil, err
	}
	return &MsgRecordMatches{Authority: authority, Round: round, Batch: batch, Voters: voters}, nil
}

// NewMsgRecordOutcomes makes the report of an outcome round; meter is the median of the quorum's milliseconds of one task.
func NewMsgRecordOutcomes(authority string, round uint64, subject, body []byte, meter uint64, voters []string) (*MsgRecordOutcomes, error) {
	s, err := DecodeOutcomeSubject(subject)
	if err != nil {
		return nil, err
	}
	outcome, err := DecodeOutcomeBody(body)
	if err != nil {
		return nil, err
	}
	return &MsgRecordOutcomes{
		Authority: authority, Round: round, JobId: s.Job.Bech32(JobHRP), Slice: s.Slice, Attempt: s.Attempt,
		Outcome: outcome, MeteredMs: meter, Voters: voters,
	}, nil
}

// Validate checks the message without state.
func (m *MsgRecordMatches) Validate(ac address.Codec) error {
	if err := validateVoters(ac, m.Voters); err != nil {
		return err
	}
	return m.Batch.Validate()
}

// Validate checks the message without state.
func (m *MsgRecordOutcomes) Validate(ac address.Codec) error {
	if _, err := escrowtypes.ParseID(JobHRP, m.JobId); err != nil {
		return ErrInvalidReport.Wrapf("job_id: %s", err)
	}
	if err := validateVoters(ac, m.Voters); err != nil {
		return err
	}
	return m.Outcome.Validate()
}

func validateVoters(ac address.Codec, voters []string) error {
	if len(voters) == 0 || len(voters) > MaxVoters {
		return ErrInvalidReport.Wrapf("voters: %d; it must be 1 to %d", len(voters), MaxVoters)
	}
	for i, v := range voters {
		if _, err := ac.StringToBytes(v); err != nil {
			return ErrInvalidReport.Wrapf("voters[%d]: %s", i, err)
		}
	}
	return nil
}
