package types

// DefaultParams are the defaults of DESIGN §4 and §5.
func DefaultParams() Params {
	return Params{
		MinDeposit:            100_000_000, // 100 FOG
		RegistrationFee:       1_000_000,   // 1 FOG
		PassPercent:           90,
		LowerPercent:          75,
		MaxBenchmarkTries:     3,
		LivenessEpoch:         60,
		LostGrace:             120,
		JailTransitions:       3,
		TransitionWindow:      7 * 24 * 3600,
		FalseDeclarationSlash: 2_000, // 20 %
		ProbationTasks:        10,
		BenchmarkWindow:       180,
		MaxDrain:              24 * 3600,
		MinUptimePercent:      95,
		ModelPeriod:           3600,
		ModelWindow:           600,
		ModelMinNodes:         16,
		GradeA:                GradeLimits{RttUs: 60_000, JitterUs: 10_000, LossPpm: 5_000},
		GradeB:                GradeLimits{RttUs: 200_000, JitterUs: 50_000, LossPpm: 20_000},
		HoursLead:             3600,
		HoursReturn:           600,
		MaxOfflineSpan:        30 * 24 * 3600,
	}
}

// Validate names the first param that breaks its rule.
func (p Params) Validate() error {
	const year = 366 * 24 * 3600
	for _, r := range []struct {
		field           string
		value, min, max uint64
	}{
		{"min_deposit", p.MinDeposit, 1, 1 << 62},
		{"registration_fee", p.RegistrationFee, 0, 1 << 62},
		{"pass_percent", uint64(p.PassPercent), 1, 100},
		{"lower_percent", uint64(p.LowerPercent), 1, uint64(p.PassPercent)},
		{"max_benchmark_tries", uint64(p.MaxBenchmarkTries), 1, 100},
		{"liveness_epoch", p.LivenessEpoch, 1, 24 * 3600},
		{"lost_grace", p.LostGrace, 1, 24 * 3600},
		{"jail_transitions", uint64(p.JailTransitions), 1, MaxJailTransitions},
		{"transition_window", p.TransitionWindow, 1, year},
		{"false_declaration_slash", uint64(p.FalseDeclarationSlash), 0, 10_000},
		{"probation_tasks", uint64(p.ProbationTasks), 0, MaxProbationTasks},
		{"benchmark_window", p.BenchmarkWindow, 1, 24 * 3600},
		{"max_drain", p.MaxDrain, 1, year},
		{"min_uptime_percent", uint64(p.MinUptimePercent), 0, 100},
		{"model_period", p.ModelPeriod, 1, year},
		{"model_window", p.ModelWindow, 1, 24 * 3600},
		{"model_min_nodes", uint64(p.ModelMinNodes), 1, 1 << 30},
		{"hours_lead", p.HoursLead, 1, weekSeconds},
		{"hours_return", p.HoursReturn, 0, 24 * 3600},
		{"max_offline_span", p.MaxOfflineSpan, 1, year},
	} {
		if r.value < r.min || r.value > r.max {
			return ErrInvalidField.Wrapf("%s is %d; it must be from %d to %d", r.field, r.value, r.min, r.max)
		}
	}
	if err := p.GradeA.validate("grade_a"); err != nil {
		return err
	}
	if err := p.GradeB.validate("grade_b"); err != nil {
		return err
	}
	if a, b := p.GradeA, p.GradeB; a.RttUs > b.RttUs || a.JitterUs > b.JitterUs || a.LossPpm > b.LossPpm {
		return ErrInvalidField.Wrap("grade_a allows more than grade_b; each of its limits must be at most that of B")
	}
	return nil
}

// MostAway is for how many seconds of the transition window a node may be away unannounced.
func (p Params) MostAway() int64 {
	return int64(p.TransitionWindow) * int64(100-p.MinUptimePercent) / 100
}
