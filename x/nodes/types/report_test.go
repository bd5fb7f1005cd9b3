package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/nodes/types"
)

func TestSubjects(t *testing.T) {
	id := types.NodeID(owner, "one")
	subject, err := types.EncodeBenchmarkSubject(id, "0123456789abcdef")
	require.NoError(t, err)
	require.Equal(t, id.String()+"0123456789abcdef", hexOf(subject))
	gotID, gotBoot, err := types.DecodeBenchmarkSubject(subject)
	require.NoError(t, err)
	require.Equal(t, id, gotID)
	require.Equal(t, "0123456789abcdef", gotBoot)

	longest, err := types.EncodeBenchmarkSubject(id, strings.Repeat("ab", types.MaxBootLength/2))
	require.NoError(t, err)
	require.LessOrEqual(t, len(longest), 64, "the limit of x/oracle")
	_, err = types.EncodeBenchmarkSubject(id, "xyz")
	require.ErrorIs(t, err, types.ErrInvalidField)
	for _, n := range []int{0, escrowtypes.IDLength} {
		_, _, err = types.DecodeBenchmarkSubject(subject[:n])
		require.ErrorIs(t, err, types.ErrInvalidReport)
	}

	require.Equal(t, "0000000000000102", hexOf(types.EncodeLivenessSubject(258)))
	epoch, err := types.DecodeLivenessSubject(types.EncodeLivenessSubject(258))
	require.NoError(t, err)
	require.EqualValues(t, 258, epoch)
	_, err = types.DecodeLivenessSubject(make([]byte, 7))
	require.ErrorIs(t, err, types.ErrInvalidReport)
}

func TestBenchmarkBody(t *testing.T) {
	for says, o := range map[string]types.BenchmarkObservation{
		"":                             {Measured: types.Benchmark{CpuSingle: 1 << 50}},
		"measured.storage_mib is":      {Measured: types.Benchmark{StorageMib: 1<<50 + 1}},
		"measured.bandwidth_kbit is":   {Measured: types.Benchmark{BandwidthKbit: 1<<50 + 1}},
		"measured.rtt_us is":           {Measured: types.Benchmark{RttUs: 1<<50 + 1}},
		"although the node was unreac": {Measured: types.Benchmark{CpuAll: 1}, Unreachable: true},
	} {
		body, err := o.Marshal()
		require.NoError(t, err)
		err = types.ValidateBenchmarkBody(nil, body)
		if says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, says)
		_, err = types.NewMsgRecordBenchmark("fog1", benchmarkSubject(t), [][]byte{body}, 3)
		require.Error(t, err)
	}
	require.ErrorIs(t, types.ValidateBenchmarkBody(nil, []byte{0xff}), types.ErrInvalidReport)
	_, err := types.NewMsgRecordBenchmark("fog1", nil, nil, 3)
	require.ErrorIs(t, err, types.ErrInvalidReport)
}

func TestLivenessBody(t *testing.T) {
	long := make([]uint32, types.MaxListedNodes+1)
	for i := range long {
		long[i] = uint32(i + 1)
	}
	boot := func(index uint32) types.Restart { return types.Restart{Index: index, Boot: "0123456789abcdef"} }
	for says, o := range map[string]types.LivenessObservation{
		"":                                       {Down: []uint32{1, 2, 9}, Up: []uint32{3, 7, 1 << 31}, Restarted: []types.Restart{boot(2), boot(3)}},
		"down[0] is 0; indexes must be positive": {Down: []uint32{0}},
		"down[1] is 3":                           {Down: []uint32{3, 3}},
		"up[1] is 2":                             {Up: []uint32{3, 2}},
		"down holds 20001; at most 20000":        {Down: long},
		"index 7 is both down and up":            {Down: []uint32{1, 7}, Up: []uint32{2, 7}},
		"restarted[1].index 3 must be positive":  {Restarted: []types.Restart{boot(3), boot(3)}},
		"restarted[0].index 0":                   {Restarted: []types.Restart{boot(0)}},
		"restarted[0]: boot has 0 characters":    {Restarted: []types.Restart{{Index: 1}}},
		"network[1].index 3 must be positive":    {Network: []types.NetworkObservation{{Index: 3, RttUs: 1}, {Index: 3, RttUs: 1}}},
		"network[0]: 0 µs of round trip":         {Network: []types.NetworkObservation{{Index: 3}}},
		"network[0].loss_ppm is 1000001":         {Network: []types.NetworkObservation{{Index: 3, RttUs: 1, LossPpm: 1_000_001}}},
		"network holds 2001; at most 2000":       {Network: make([]types.NetworkObservation, types.MaxNetworkNodes+1)},
		"restarted holds 20001; at most 20000":   {Restarted: make([]types.Restart, types.MaxListedNodes+1)},
	} {
		body, err := o.Marshal()
		require.NoError(t, err)
		err = types.ValidateLivenessBody(nil, body)
		_, buildErr := types.NewMsgRecordLiveness("fog1", types.EncodeLivenessSubject(1), [][]byte{body}, 3)
		if says == "" {
			require.NoError(t, err)
			require.NoError(t, buildErr)
			continue
		}
		require.ErrorIs(t, err, types.ErrInvalidReport)
		require.ErrorContains(t, err, says)
		require.ErrorIs(t, buildErr, types.ErrInvalidReport)
	}
	_, err := types.NewMsgRecordLiveness("fog1", nil, nil, 3)
	require.ErrorIs(t, err, types.ErrInvalidReport)
}

// What validation lets through, the report can be made of: a body that could not would stop the round.
func FuzzVoteBodies(f *testing.F) {
	for _, o := range []types.LivenessObservation{
		{}, {Down: []uint32{1, 2}, Up: []uint32{3}}, {Restarted: []types.Restart{{Index: 1, Boot: "0123456789abcdef"}}},
	} {
		bz, err := o.Marshal()
		require.NoError(f, err)
		f.Add(bz)
	}
	for _, o := range []types.BenchmarkObservation{{Unreachable: true}, {Measured: registration().Declared}} {
		bz, err := o.Marshal()
		require.NoError(f, err)
		f.Add(bz)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		subject := benchmarkSubject(t)
		msg, err := types.NewMsgRecordBenchmark("fog1", subject, [][]byte{body, body}, 2)
		require.Equal(t, types.ValidateBenchmarkBody(subject, body) == nil, err == nil)
		if err == nil {
			measured, n := types.Medians(msg.Observations)
			require.LessOrEqual(t, n, 2)
			types.Judge(registration().Declared, measured, types.DefaultParams())
		}
		epoch := types.EncodeLivenessSubject(1)
		liveness, err := types.NewMsgRecordLiveness("fog1", epoch, [][]byte{body}, 1)
		require.Equal(t, types.ValidateLivenessBody(epoch, body) == nil, err == nil)
		if err == nil {
			again, err := liveness.Observations[0].Marshal()
			require.NoError(t, err)
			require.NoError(t, types.ValidateLivenessBody(epoch, again))
		}
	})
}

func FuzzBenchmarkSubject(f *testing.F) {
	f.Add([]byte{}, "")
	f.Add(make([]byte, 28), "0123456789abcdef")
	f.Fuzz(func(t *testing.T, subject []byte, boot string) {
		if id, decoded, err := types.DecodeBenchmarkSubject(subject); err == nil && types.ValidateBoot(decoded) == nil {
			again, err := types.EncodeBenchmarkSubject(id, decoded)
			require.NoError(t, err)
			require.Equal(t, subject, again)
		}
		encoded, err := types.EncodeBenchmarkSubject(types.NodeID(owner, "one"), boot)
		if err != nil {
			return
		}
		_, decoded, err := types.DecodeBenchmarkSubject(encoded)
		require.NoError(t, err)
		require.Equal(t, boot, decoded)
	})
}

func benchmarkSubject(t *testing.T) []byte {
	t.Helper()
	subject, err := types.EncodeBenchmarkSubject(types.NodeID(owner, "one"), "0123456789abcdef")
	require.NoError(t, err)
	return subject
}
