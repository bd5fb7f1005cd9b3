package types_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/oracle/types"
)

func TestValidateEndpoint(t *testing.T) {
	for _, good := range []string{"oracle.example:443", "127.0.0.1:1", "[2001:db8::1]:65535", "a_b-c:80"} {
		require.NoError(t, types.ValidateEndpoint(good), good)
	}
	for _, bad := range []string{
		"", "oracle.example", ":443", "host:0", "host:65536", "host:http", "a b:1", "a/b:1", "ü:1", "user@host:1",
		strings.Repeat("a", types.MaxEndpointLength) + ":1",
	} {
		err := types.ValidateEndpoint(bad)
		require.ErrorIs(t, err, types.ErrInvalidField, bad)
		require.ErrorContains(t, err, "endpoint")
	}
}

func TestMessagesNameTheField(t *testing.T) {
	long := strings.Repeat("x", 257)
	for field, err := range map[string]error{
		"transport_key": (&types.MsgSetFeeder{TransportKey: make([]byte, 31)}).Validate(),
		"endpoint":      (&types.MsgSetFeeder{Endpoint: "x"}).Validate(),
		"moniker":       (&types.MsgAdmitOracle{Moniker: long}).Validate(),
		"reason":        (&types.MsgPunishOracle{Reason: long}).Validate(),
		"votes":         (&types.MsgAttest{}).Validate(types.DefaultParams()),
	} {
		require.ErrorIs(t, err, types.ErrInvalidField)
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, (&types.MsgSetFeeder{TransportKey: make([]byte, 32), Endpoint: "h:1"}).Validate())
	require.NoError(t, (&types.MsgSetFeeder{}).Validate())
	require.NoError(t, (&types.MsgPunishOracle{Reason: "r"}).Validate())
}

func TestParamsNameTheField(t *testing.T) {
	require.NoError(t, types.DefaultParams().Validate())
	for field, change := range map[string]func(*types.Params){
		"max_oracles":           func(p *types.Params) { p.MaxOracles = 22 },
		"min_bond":              func(p *types.Params) { p.MinBond = 0 },
		"unbonding_time":        func(p *types.Params) { p.UnbondingTime = 0 },
		"epoch":                 func(p *types.Params) { p.Epoch = 0 },
		"miss_window":           func(p *types.Params) { p.MissWindow = 0 },
		"max_missed":            func(p *types.Params) { p.MaxMissed = p.MissWindow + 1 },
		"downtime_slash":        func(p *types.Params) { p.DowntimeSlash = 10_001 },
		"downtime_jail":         func(p *types.Params) { p.DowntimeJail = 1 << 40 },
		"fault_slash":           func(p *types.Params) { p.FaultSlash = 10_001 },
		"vote_quota":            func(p *types.Params) { p.VoteQuota = 0 },
		"refused_vote_fee":      func(p *types.Params) { p.RefusedVoteFee = 1 << 41 },
		"vote_grace":            func(p *types.Params) { p.VoteGrace = 1 << 40 },
		"proposer_delay":        func(p *types.Params) { p.ProposerDelay = 0 },
		"max_votes_per_attest":  func(p *types.Params) { p.MaxVotesPerAttest = 0 },
		"max_body_bytes":        func(p *types.Params) { p.MaxBodyBytes = 0 },
		"report_gas":            func(p *types.Params) { p.ReportGas = 0 },
		"max_reports_per_block": func(p *types.Params) { p.MaxReportsPerBlock = 0 },
		"round_retention":       func(p *types.Params) { p.RoundRetention = 0 },
		"reopen_period":         func(p *types.Params) { p.ReopenPeriod = 0 },
	} {
		p := types.DefaultParams()
		change(&p)
		err := p.Validate()
		require.ErrorIs(t, err, types.ErrInvalidField, field)
		require.ErrorContains(t, err, field)
	}
}

// FuzzVote decodes a MsgAttest as it comes from the network: validation must not panic, and what it lets through must fit its rule.
func FuzzVote(f *testing.F) {
	body := []byte("a report")
	sum := sha256.Sum256(body)
	for _, votes := range [][]types.Vote{
		{{RoundId: 1, Claim: sum[:], Meter: 7, Body: body}},
		{{RoundId: 1, Claim: sum[:]}},
		{{RoundId: 2, Body: body}},
		{{RoundId: 3, Claim: sum[:31]}, {RoundId: 1 << 63, Meter: 1}},
		nil,
	} {
		raw, err := (&types.MsgAttest{Feeder: "fog1feeder", Votes: votes}).Marshal()
		require.NoError(f, err)
		f.Add(raw)
	}
	p := types.DefaultParams()
	f.Fuzz(func(t *testing.T, raw []byte) {
		var msg types.MsgAttest
		if msg.Unmarshal(raw) != nil || msg.Validate(p) != nil {
			return
		}
		require.NotEmpty(t, msg.Votes)
		require.LessOrEqual(t, len(msg.Votes), int(p.MaxVotesPerAttest))
		for _, v := range msg.Votes {
			if v.ValidateFor(types.ROUND_RULE_CLAIM, p.MaxBodyBytes) == nil {
				require.Len(t, v.Claim, types.ClaimLength)
				if len(v.Body) > 0 {
					sum := sha256.Sum256(v.Body)
					require.Equal(t, sum[:], v.Claim)
				}
			}
			if v.ValidateFor(types.ROUND_RULE_MERGE, p.MaxBodyBytes) == nil {
				require.Empty(t, v.Claim)
				require.Zero(t, v.Meter)
			}
			require.ErrorIs(t, v.ValidateFor(types.ROUND_RULE_UNSPECIFIED, p.MaxBodyBytes), types.ErrInvalidVote)
			require.ErrorIs(t, v.ValidateFor(99, p.MaxBodyBytes), types.ErrInvalidVote)
			if len(v.Body) > 0 {
				require.ErrorIs(t, v.ValidateFor(types.ROUND_RULE_MERGE, uint32(len(v.Body)-1)), types.ErrInvalidVote)
			}
		}
	})
}
