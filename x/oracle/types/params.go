package types

// DefaultParams are the defaults of DESIGN §3.
func DefaultParams() Params {
	return Params{
		MaxOracles:         21,
		MinBond:            10_000_000_000, // 10,000 FOG
		UnbondingTime:      21 * 24 * 3600,
		Epoch:              300,
		MissWindow:         100,
		MaxMissed:          50,
		DowntimeSlash:      10, // 0.1 %
		DowntimeJail:       600,
		FaultSlash:         500, // 5 %
		VoteQuota:          1_000_000,
		RefusedVoteFee:     1_000,
		VoteGrace:          30,
		ProposerDelay:      5,
		MaxVotesPerAttest:  1_000,
		MaxBodyBytes:       512 << 10,
		ReportGas:          200_000_000,
		MaxReportsPerBlock: 5_000,
		RoundRetention:     3600,
		ReopenPeriod:       3600,
	}
}

const (
	basisPoints   = 10_000
	maxMissWindow = 10_000
	year          = 366 * 24 * 3600
)

// Validate names the first param that breaks its rule.
func (p Params) Validate() error {
	type rule struct {
		field    string
		value    uint64
		min, max uint64
	}
	for _, r := range []rule{
		{"max_oracles", uint64(p.MaxOracles), 1, 21},
		{"min_bond", p.MinBond, 1, 1 << 62},
		{"unbonding_time", p.UnbondingTime, 1, year},
		{"epoch", p.Epoch, 1, 24 * 3600},
		{"miss_window", uint64(p.MissWindow), 1, maxMissWindow},
		{"max_missed", uint64(p.MaxMissed), 1, uint64(p.MissWindow)},
		{"downtime_slash", uint64(p.DowntimeSlash), 0, basisPoints},
		{"downtime_jail", p.DowntimeJail, 0, year},
		{"fault_slash", uint64(p.FaultSlash), 0, basisPoints},
		{"vote_quota", p.VoteQuota, 1, 1 << 40},
		{"refused_vote_fee", p.RefusedVoteFee, 0, 1 << 40},
		{"vote_grace", p.VoteGrace, 0, 24 * 3600},
		{"proposer_delay", uint64(p.ProposerDelay), 1, 10_000},
		{"max_votes_per_attest", uint64(p.MaxVotesPerAttest), 1, 100_000},
		{"max_body_bytes", uint64(p.MaxBodyBytes), 1 << 10, 1 << 20},
		{"report_gas", p.ReportGas, 1_000_000, 1 << 40},
		{"max_reports_per_block", uint64(p.MaxReportsPerBlock), 1, 1_000_000},
		{"round_retention", p.RoundRetention, 1, year},
		{"reopen_period", p.ReopenPeriod, 1, year},
	} {
		if r.value < r.min || r.value > r.max {
			return ErrInvalidField.Wrapf("%s is %d; it must be from %d to %d", r.field, r.value, r.min, r.max)
		}
	}
	return nil
}
