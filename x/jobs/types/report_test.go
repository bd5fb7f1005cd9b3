package types_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
)

var root = bytes.Repeat([]byte{7}, sha256.Size)

// Golden: oracles on every machine must form the same subjects and ids.
func TestGoldenSubjects(t *testing.T) {
	id := types.JobID([]byte("owner of twenty byte"), []byte("salt"))
	require.Equal(t, "job1lqdfrstjke5h3n4qcp74j5v5sww6y8y2z4ksej", id.Bech32(types.JobHRP))
	subject := types.OutcomeSubject{Job: id, Slice: 258, Attempt: 3}
	require.Equal(t, id.String()+"0000010200000003", hex.EncodeToString(subject.Encode()))
	back, err := types.DecodeOutcomeSubject(subject.Encode())
	require.NoError(t, err)
	require.Equal(t, subject, back)
	require.Equal(t, "0000000000010203", hex.EncodeToString(types.EncodeMatchSubject(0x010203)))
	height, err := types.DecodeMatchSubject(types.EncodeMatchSubject(77))
	require.NoError(t, err)
	require.EqualValues(t, 77, height)
	for _, b := range [][]byte{nil, make([]byte, 27), make([]byte, 29)} {
		_, err := types.DecodeOutcomeSubject(b)
		require.ErrorIs(t, err, types.ErrInvalidReport)
		_, err = types.DecodeMatchSubject(b)
		require.ErrorIs(t, err, types.ErrInvalidReport)
	}
	_, err = types.DecodeMatchSubject(bytes.Repeat([]byte{0xff}, 8))
	require.ErrorIs(t, err, types.ErrInvalidReport)
}

func TestOutcomeBody(t *testing.T) {
	exit := func(task, code uint32) types.TaskFailure {
		return types.TaskFailure{Task: task, ExitCode: code, Reason: types.FAILURE_REASON_EXIT}
	}
	subject := types.OutcomeSubject{Job: types.JobID(nil, nil), Attempt: 1}.Encode()
	for says, o := range map[string]types.Outcome{
		"":                                      {ResultRoot: root, Failures: []types.TaskFailure{exit(3, 1), {Task: 9, Reason: types.FAILURE_REASON_NODE}}},
		"result_root: 0 bytes":                  {},
		"result_root: 33 bytes":                 {ResultRoot: append(bytes.Clone(root), 1)},
		"failures: 257":                         {ResultRoot: root, Failures: make([]types.TaskFailure, 257)},
		"failures[1].task: 3 after 3":           {ResultRoot: root, Failures: []types.TaskFailure{exit(3, 1), exit(3, 1)}},
		"failures[0].reason: 0 is not known":    {ResultRoot: root, Failures: []types.TaskFailure{{Task: 1}}},
		"failures[0].reason: 9 is not known":    {ResultRoot: root, Failures: []types.TaskFailure{{Task: 1, Reason: 9}}},
		"failures[0].exit_code: 0":              {ResultRoot: root, Failures: []types.TaskFailure{exit(1, 0)}},
		"failures[0].exit_code: 256":            {ResultRoot: root, Failures: []types.TaskFailure{exit(1, 256)}},
		"failures[0].exit_code: 1 with FAILURE": {ResultRoot: root, Failures: []types.TaskFailure{{Task: 1, ExitCode: 1, Reason: types.FAILURE_REASON_TRAP}}},
	} {
		t.Run(says, func(t *testing.T) {
			body, err := o.Marshal()
			require.NoError(t, err)
			err = types.ValidateOutcomeBody(subject, body)
			msg, buildErr := types.NewMsgRecordOutcomes(owner(t), 5, subject, body, 9, []string{owner(t)})
			if says == "" {
				require.NoError(t, err)
				require.NoError(t, buildErr)
				require.NoError(t, msg.Validate(ac))
				require.EqualValues(t, 1, msg.Attempt)
				require.EqualValues(t, 9, msg.MeteredMs)
				return
			}
			require.ErrorIs(t, err, types.ErrInvalidReport)
			require.ErrorContains(t, err, says)
			require.Error(t, buildErr)
		})
	}
	require.Error(t, types.ValidateOutcomeBody(subject, []byte{1}))
	require.Error(t, types.ValidateOutcomeBody(nil, nil))
}

func TestMatchBody(t *testing.T) {
	good := types.MatchItem{JobId: jobID, Count: 256, NodeIndex: 1}
	for says, b := range map[string]types.MatchBatch{
		"":                                {Height: 5, Items: []types.MatchItem{good}},
		"height: 6; the round asks for 5": {Height: 6},
		"height: 0":                       {},
		"items: 2001":                     {Height: 5, Items: make([]types.MatchItem, 2001)},
		"items[1].job_id":                 {Height: 5, Items: []types.MatchItem{good, {Count: 1, NodeIndex: 1}}},
		"items[0].count: 0":               {Height: 5, Items: []types.MatchItem{{JobId: jobID, NodeIndex: 1}}},
		"items[0].count: 257":             {Height: 5, Items: []types.MatchItem{{JobId: jobID, NodeIndex: 1, Count: 257}}},
		"items[0].runners_up: 5": {Height: 5, Items: []types.MatchItem{
			{JobId: jobID, Count: 1, NodeIndex: 1, RunnersUp: make([]uint32, 5)},
		}},
		"policy: ":               {Height: 5, Policy: "two words"},
		"items[0].node_index: 0": {Height: 5, Items: []types.MatchItem{{JobId: jobID, Count: 1}}},
	} {
		t.Run(says, func(t *testing.T) {
			body, err := b.Marshal()
			require.NoError(t, err)
			err = types.ValidateMatchBody(types.EncodeMatchSubject(5), body)
			if says == "" {
				require.NoError(t, err)
				msg, err := types.NewMsgRecordMatches(owner(t), 5, body, []string{owner(t)})
				require.NoError(t, err)
				require.NoError(t, msg.Validate(ac))
				return
			}
			require.ErrorIs(t, err, types.ErrInvalidReport)
			require.ErrorContains(t, err, says)
		})
	}
	require.Error(t, types.ValidateMatchBody(types.EncodeMatchSubject(5), []byte{1}))
	require.Error(t, types.ValidateMatchBody(nil, nil))
}

// FuzzReports: what an oracle votes for can be anything; it is refused or becomes a valid report.
func FuzzReports(f *testing.F) {
	outcome, err := (&types.Outcome{ResultRoot: root}).Marshal()
	require.NoError(f, err)
	f.Add(outcome)
	f.Add([]byte{8, 5})
	subject := types.OutcomeSubject{Job: types.JobID(nil, nil), Attempt: 1}.Encode()
	from := owner(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if types.ValidateOutcomeBody(subject, body) == nil {
			msg, err := types.NewMsgRecordOutcomes(from, 1, subject, body, 1, []string{from})
			require.NoError(t, err)
			require.NoError(t, msg.Validate(ac))
		}
		if types.ValidateMatchBody(types.EncodeMatchSubject(5), body) == nil {
			msg, err := types.NewMsgRecordMatches(from, 1, body, []string{from})
			require.NoError(t, err)
			require.NoError(t, msg.Validate(ac))
		}
	})
}
