package types

const (
	day = 24 * 60 * 60
	// maxTasks, maxSeconds and maxAttempts bound what governance can set, so that sums fit in 64 bits.
	maxTasks    = 1_000_000
	maxSeconds  = 366 * day
	maxAttempts = 16
)

// DefaultParams are those of DESIGN §4.
func DefaultParams() Params {
	return Params{
		MaxTasks:          100_000,
		MinDuration:       60,
		MaxDuration:       7 * day,
		MaxDeadline:       30 * day,
		Fee:               100,
		Collateral:        3_000,
		AcceptWindow:      3_600,
		LostSlash:         500,
		MaxAttempts:       3,
		MinMetered:        60,
		OutcomeWindow:     3_600,
		OutcomeFinal:      7 * day,
		MaxSlicesPerBlock: 2_000,
		MaxBatchItems:     2_000,
		MatchWindow:       30,
		MatchIdle:         15,
		MatchPolicy:       "greedy/1",
		MaxRunsPerBlock:   50,
		RunFee:            5_000,
		MaxUnfunded:       3,
		ServiceEpoch:      300,
		ServiceWindow:     60,
		ServiceStart:      900,
		ServiceCollateral: day,
		EpochFee:          1_000,
		MaxFailedEpochs:   3,
		ProfileGrades:     defaultProfileGrades(),
		AbsenceMargin:     300,
		ServiceStay:       4 * 3_600,
		ServiceHandover:   3_600,

		ServiceMaxOfflinePercent: 25,
	}
}

// Validate names the first param that breaks its rule.
func (p Params) Validate() error {
	for _, c := range []struct {
		name     string
		value    uint64
		min, max uint64
	}{
		{"max_tasks", uint64(p.MaxTasks), 1, maxTasks},
		{"min_duration", p.MinDuration, 1, maxSeconds},
		{"max_duration", p.MaxDuration, p.MinDuration, maxSeconds},
		{"max_deadline", p.MaxDeadline, 1, maxSeconds},
		{"fee", uint64(p.Fee), 0, BasisPoints},
		{"collateral", uint64(p.Collateral), 0, BasisPoints},
		{"accept_window", p.AcceptWindow, 0, maxSeconds},
		{"lost_slash", uint64(p.LostSlash), 0, BasisPoints},
		{"max_attempts", uint64(p.MaxAttempts), 1, maxAttempts},
		{"min_metered", p.MinMetered, 0, p.MinDuration},
		{"outcome_window", p.OutcomeWindow, 1, maxSeconds},
		{"outcome_final", p.OutcomeFinal, p.OutcomeWindow, maxSeconds},
		{"max_slices_per_block", uint64(p.MaxSlicesPerBlock), 1, 100_000},
		{"max_batch_items", uint64(p.MaxBatchItems), 1, MaxBatchItems},
		{"match_window", p.MatchWindow, 1, day},
		{"match_idle", p.MatchIdle, 0, day},
		{"max_runs_per_block", uint64(p.MaxRunsPerBlock), 1, 10_000},
		{"run_fee", p.RunFee, 0, MaxPrice},
		{"max_unfunded", uint64(p.MaxUnfunded), 1, 1_000},
		{"service_epoch", p.ServiceEpoch, 1, day},
		{"service_window", p.ServiceWindow, 1, p.ServiceEpoch},
		{"service_start", p.ServiceStart, p.HeldSeconds(), maxSeconds},
		{"service_collateral", p.ServiceCollateral, 0, maxSeconds},
		{"epoch_fee", p.EpochFee, 0, MaxPrice},
		{"max_failed_epochs", uint64(p.MaxFailedEpochs), 1, 1_000},
		{"absence_margin", p.AbsenceMargin, 0, maxSeconds},
		{"service_handover", p.ServiceHandover, p.HeldSeconds(), maxSeconds},
		{"service_stay", p.ServiceStay, p.ServiceHandover + p.ServiceStart, maxSeconds},
		{"service_max_offline_percent", uint64(p.ServiceMaxOfflinePercent), 0, 100},
	} {
		if c.value < c.min || c.value > c.max {
			return ErrInvalidParams.Wrapf("%s: %d; it must be %d to %d", c.name, c.value, c.min, c.max)
		}
	}
	if err := p.validateProfileGrades(); err != nil {
		return err
	}
	return validateLabel("match_policy", p.MatchPolicy)
}
