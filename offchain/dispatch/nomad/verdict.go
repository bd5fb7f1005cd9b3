package nomad

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// allocIndex reads the number of an allocation from its name, "job.group[number]".
func allocIndex(name string) (uint32, bool) {
	open := strings.LastIndexByte(name, '[')
	if open < 0 || !strings.HasSuffix(name, "]") {
		return 0, false
	}
	n, err := strconv.ParseUint(name[open+1:len(name)-1], 10, 32)
	return uint32(n), err == nil
}

// verdict says why an allocation ended that left no outcome, by the events of its task. The first event that decides counts: what follows
// it are consequences.
func verdict(a *api.AllocationListStub) ending {
	state := a.TaskStates[taskName]
	for _, name := range []string{LendTask, prepareName} {
		if before := a.TaskStates[name]; before != nil && before.Failed {
			state = before
		}
	}
	if state == nil {
		return ending{dispatch.ReasonNode, "the task never began: " + describe(a)}
	}
	for _, e := range state.Events {
		switch e.Type {
		case api.TaskTerminated:
			if e.Details["oom_killed"] == "true" {
				return ending{dispatch.ReasonMemory, "the container was killed for taking more memory than its limit"}
			}
			// Whatever the task did, the runner would have said so; also when it took too long.
			return ending{dispatch.ReasonNode, fmt.Sprintf("the container ended with exit code %s and no outcome: %s", e.Details["exit_code"], describe(a))}
		case api.TaskDriverFailure, api.TaskArtifactDownloadFailed, api.TaskSetupFailure, api.TaskFailedValidation:
			return ending{dispatch.ReasonNode, e.Type + ": " + e.DisplayMessage}
		}
	}
	return ending{dispatch.ReasonNode, "the task ended without a reason: " + describe(a)}
}

// placementFailure is the scheduler's own reason for not placing, from the newest evaluation that has one.
func placementFailure(evals []*api.Evaluation) string {
	slices.SortFunc(evals, func(a, b *api.Evaluation) int { return cmp.Compare(b.ModifyIndex, a.ModifyIndex) })
	for _, e := range evals {
		if m := e.FailedTGAllocs[groupName]; m != nil {
			return metricText(m)
		}
		if e.StatusDescription != "" && e.Status == api.EvalStatusFailed {
			return e.StatusDescription
		}
	}
	return "the scheduler gave no reason"
}

func metricText(m *api.AllocationMetric) string {
	parts := []string{fmt.Sprintf("%d nodes evaluated", m.NodesEvaluated)}
	if m.NodesEvaluated == 0 {
		parts = append(parts, "no node in the datacenter and pool")
	}
	for _, group := range []struct {
		counts map[string]int
		format string
	}{
		{m.ConstraintFiltered, "constraint %s excluded %d"}, {m.ClassFiltered, "class %s excluded %d"},
		{m.DimensionExhausted, "%s exhausted on %d"}, {m.ClassExhausted, "class %s exhausted on %d"},
	} {
		for _, key := range slices.Sorted(maps.Keys(group.counts)) {
			parts = append(parts, fmt.Sprintf(group.format, key, group.counts[key]))
		}
	}
	for _, q := range m.QuotaExhausted {
		parts = append(parts, "quota exhausted: "+q)
	}
	return strings.Join(parts, ", ")
}
