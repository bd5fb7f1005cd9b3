package types_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var (
	ac     = addresscodec.NewBech32Codec("fog")
	digest = "sha256:" + strings.Repeat("0123456789abcdef", 4)
	jobID  = types.JobID([]byte("owner"), []byte("salt")).Bech32(types.JobHRP)
	nodeID = nodestypes.NodeID([]byte("owner"), "salt").Bech32(nodestypes.NodeHRP)
)

func owner(t testing.TB) string {
	t.Helper()
	text, err := ac.BytesToString([]byte("owner of twenty byte"))
	require.NoError(t, err)
	return text
}

func validSubmit(t testing.TB) *types.MsgSubmitJob {
	return &types.MsgSubmitJob{
		Owner: owner(t), Salt: "a", Type: types.JOB_TYPE_BATCH, Engine: nodestypes.ENGINE_WASM, SpecDigest: digest, ImageDigest: digest,
		Tasks: 10, Resources: nodestypes.Resources{CpuMilli: 1000, MemoryMib: 256}, PriceCap: 1000, MaxDuration: 60, Deadline: 60,
	}
}

func TestSubmitJobNamesTheFieldAndTheRule(t *testing.T) {
	require.NoError(t, validSubmit(t).Validate(ac))
	many := func(n int) []string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("v%d", i))
		}
		return list
	}
	for _, c := range []struct {
		says   string
		change func(*types.MsgSubmitJob)
	}{
		{"owner: ", func(m *types.MsgSubmitJob) { m.Owner = "x" }},
		{"salt: 0 bytes; it must have 1 to 32", func(m *types.MsgSubmitJob) { m.Salt = "" }},
		{"salt: 33 bytes", func(m *types.MsgSubmitJob) { m.Salt = strings.Repeat("s", 33) }},
		{"type: JOB_TYPE_UNSPECIFIED; it must be JOB_TYPE_BATCH", func(m *types.MsgSubmitJob) { m.Type = 0 }},
		{"tasks: it is not for services: give replicas", func(m *types.MsgSubmitJob) { m.Type = types.JOB_TYPE_SERVICE }},
		{"funded_time: it is for services", func(m *types.MsgSubmitJob) { m.FundedTime = 1 }},
		{"constraints.min_grade: 4 is not known", func(m *types.MsgSubmitJob) { m.Constraints.MinGrade = 4 }},
		{"constraints.profile: 7 is not known", func(m *types.MsgSubmitJob) { m.Constraints.Profile = 7 }},
		{"runs: 0; it must be 1 to 10000", func(m *types.MsgSubmitJob) { m.Type = types.JOB_TYPE_PERIODIC }},
		{"schedule: \"\"; give minute", func(m *types.MsgSubmitJob) { m.Type, m.Runs = types.JOB_TYPE_PERIODIC, 1 }},
		{"overlap: 3", func(m *types.MsgSubmitJob) { m.Type, m.Runs, m.Overlap = types.JOB_TYPE_PERIODIC, 1, 3 }},
		{"time_zone: it is for periodic jobs", func(m *types.MsgSubmitJob) { m.TimeZone = "CET-1" }},
		{"overlap: it is for periodic jobs", func(m *types.MsgSubmitJob) { m.Overlap = types.OVERLAP_ALLOW }},
		{"runs: it is for periodic jobs", func(m *types.MsgSubmitJob) { m.Runs = 1 }},
		{"type: 9", func(m *types.MsgSubmitJob) { m.Type = 9 }},
		{"engine: ENGINE_UNSPECIFIED; it must be ENGINE_WASM or ENGINE_DOCKER", func(m *types.MsgSubmitJob) { m.Engine = 0 }},
		{"engine: 3; it must be", func(m *types.MsgSubmitJob) { m.Engine = 3 }},
		{"replicas: 2; they are for services", func(m *types.MsgSubmitJob) { m.Replicas = 2 }},
		{"ports: they are for services", func(m *types.MsgSubmitJob) { m.Ports = []types.Port{{}} }},
		{"schedule: it is for periodic jobs", func(m *types.MsgSubmitJob) { m.Schedule = "@daily" }},
		{"wishes.gang: 257 tasks; a gang has at most 256", func(m *types.MsgSubmitJob) { m.Tasks, m.Wishes = 257, &types.Wishes{Gang: true} }},
		{"spec_digest: ", func(m *types.MsgSubmitJob) { m.SpecDigest = strings.ToUpper(digest) }},
		{"spec_digest: ", func(m *types.MsgSubmitJob) { m.SpecDigest = "" }},
		{"image_digest: ", func(m *types.MsgSubmitJob) { m.ImageDigest = digest + "0" }},
		{"image_digest: ", func(m *types.MsgSubmitJob) { m.ImageDigest = strings.Replace(digest, "a", "g", 1) }},
		{"tasks: 0", func(m *types.MsgSubmitJob) { m.Tasks = 0 }},
		{"min_success: 11; it must be at most tasks, 10", func(m *types.MsgSubmitJob) { m.MinSuccess = 11 }},
		{"resources.cpu_milli: 0", func(m *types.MsgSubmitJob) { m.Resources.CpuMilli = 0 }},
		{"resources.memory_mib: 0", func(m *types.MsgSubmitJob) { m.Resources.MemoryMib = 0 }},
		{"resources.storage_mib: ", func(m *types.MsgSubmitJob) { m.Resources.StorageMib = 1 << 60 }},
		{"resources.gpus: ", func(m *types.MsgSubmitJob) { m.Resources.Gpus = 1 << 60 }},
		{"price_cap: 0", func(m *types.MsgSubmitJob) { m.PriceCap = 0 }},
		{"price_cap: 1000000000001", func(m *types.MsgSubmitJob) { m.PriceCap = types.MaxPrice + 1 }},
		{"max_duration: 0", func(m *types.MsgSubmitJob) { m.MaxDuration = 0 }},
		{"deadline: 0", func(m *types.MsgSubmitJob) { m.Deadline = 0 }},
		{"constraints.regions: 33 entries; at most 32", func(m *types.MsgSubmitJob) { m.Constraints.Regions = many(33) }},
		{"constraints.regions[1]: \"eu\" is named twice", func(m *types.MsgSubmitJob) { m.Constraints.Regions = []string{"eu", "eu"} }},
		{"constraints.datacenters[0]: ", func(m *types.MsgSubmitJob) { m.Constraints.Datacenters = []string{""} }},
		{"constraints.arch[0]: ", func(m *types.MsgSubmitJob) { m.Constraints.Arch = []string{"amd 64"} }},
		{"constraints.os[0]: 65 bytes", func(m *types.MsgSubmitJob) { m.Constraints.Os = []string{strings.Repeat("o", 65)} }},
		{"constraints.nodes[0]: ", func(m *types.MsgSubmitJob) { m.Constraints.Nodes = []string{jobID} }},
		{"constraints.exclude_nodes[1]: ", func(m *types.MsgSubmitJob) { m.Constraints.ExcludeNodes = []string{nodeID, nodeID} }},
		{"constraints.attributes: 33", func(m *types.MsgSubmitJob) { m.Constraints.Attributes = make([]nodestypes.Attribute, 33) }},
		{"constraints.attributes[0].key: ", func(m *types.MsgSubmitJob) { m.Constraints.Attributes = []nodestypes.Attribute{{Value: "v"}} }},
		{"constraints.attributes[0].value: ", func(m *types.MsgSubmitJob) { m.Constraints.Attributes = []nodestypes.Attribute{{Key: "k"}} }},
		{"constraints.attributes[1].key: ", func(m *types.MsgSubmitJob) {
			m.Constraints.Attributes = []nodestypes.Attribute{{Key: "k", Value: "v"}, {Key: "k", Value: "w"}}
		}},
	} {
		t.Run(c.says, func(t *testing.T) {
			msg := validSubmit(t)
			c.change(msg)
			err := msg.Validate(ac)
			require.ErrorContains(t, err, c.says)
			require.Less(t, len(err.Error()), 400, "short whatever was sent")
		})
	}
}

func TestOtherMessagesNameTheField(t *testing.T) {
	numbers := make([]uint64, types.MaxSlicesPerMsg+1)
	for i := range numbers {
		numbers[i] = uint64(i)
	}
	from := owner(t)
	bad := types.DefaultParams()
	bad.MatchWindow = 0
	for says, err := range map[string]error{
		"amount: 0":            (&types.MsgTopUpJob{Owner: from, JobId: jobID}).Validate(ac),
		"owner: ":              (&types.MsgCancelJob{JobId: jobID}).Validate(ac),
		"image_digest: ":       (&types.MsgUpdateService{Owner: from, JobId: jobID, SpecDigest: digest}).Validate(ac),
		"spec_digest: ":        (&types.MsgUpdateService{Owner: from, JobId: jobID, ImageDigest: digest}).Validate(ac),
		"replicas: 0":          (&types.MsgScaleService{Owner: from, JobId: jobID}).Validate(ac),
		"replicas: 65":         (&types.MsgScaleService{Owner: from, JobId: jobID, Replicas: 65}).Validate(ac),
		"job_id: ":             (&types.MsgCancelJob{Owner: from, JobId: nodeID}).Validate(ac),
		"owner: \"\"":          (&types.MsgAcceptResult{JobId: jobID}).Validate(ac),
		"job_id: \"x\"":        (&types.MsgAcceptResult{Owner: from, JobId: "x"}).Validate(ac),
		"slices[1]: 1 after 1": (&types.MsgAcceptResult{Owner: from, JobId: jobID, Slices: []uint64{1, 1}}).Validate(ac),
		"slices: 257 entries":  (&types.MsgAcceptResult{Owner: from, JobId: jobID, Slices: numbers}).Validate(ac),
		"slices[0]: 4294967296; it must be below 2^32": (&types.MsgAcceptResult{Owner: from, JobId: jobID, Slices: []uint64{1 << 32}}).Validate(ac),
		"sender: ":             (&types.MsgClaimTimeout{JobId: jobID}).Validate(ac),
		"slices: none":         (&types.MsgClaimTimeout{Sender: from, JobId: jobID}).Validate(ac),
		"slices[2]: 1 after 4": (&types.MsgClaimTimeout{Sender: from, JobId: jobID, Slices: []uint64{0, 4, 1}}).Validate(ac),
		"authority: ":          (&types.MsgUpdateParams{Params: types.DefaultParams()}).Validate(ac),
		"match_window: 0":      (&types.MsgUpdateParams{Authority: from, Params: bad}).Validate(ac),
	} {
		require.ErrorContains(t, err, says)
	}
	for _, err := range []error{
		(&types.MsgCancelJob{Owner: from, JobId: jobID}).Validate(ac),
		(&types.MsgAcceptResult{Owner: from, JobId: jobID}).Validate(ac),
		(&types.MsgClaimTimeout{Sender: from, JobId: jobID, Slices: []uint64{0, 4}}).Validate(ac),
		(&types.MsgUpdateParams{Authority: from, Params: types.DefaultParams()}).Validate(ac),
	} {
		require.NoError(t, err)
	}
}

func TestParamsAreBounded(t *testing.T) {
	require.NoError(t, types.DefaultParams().Validate())
	for says, change := range map[string]func(*types.Params){
		"max_tasks":                             func(p *types.Params) { p.MaxTasks = 0 },
		"min_duration":                          func(p *types.Params) { p.MinDuration = 0 },
		"max_duration: 59":                      func(p *types.Params) { p.MaxDuration = 59 },
		"fee":                                   func(p *types.Params) { p.Fee = 10_001 },
		"collateral":                            func(p *types.Params) { p.Collateral = 10_001 },
		"lost_slash":                            func(p *types.Params) { p.LostSlash = 10_001 },
		"max_attempts":                          func(p *types.Params) { p.MaxAttempts = 0 },
		"min_metered: 61":                       func(p *types.Params) { p.MinMetered = 61 },
		"outcome_final":                         func(p *types.Params) { p.OutcomeFinal = p.OutcomeWindow - 1 },
		"max_slices_per_block: 0":               func(p *types.Params) { p.MaxSlicesPerBlock = 0 },
		"max_batch_items: 2001":                 func(p *types.Params) { p.MaxBatchItems = 2001 },
		"match_idle":                            func(p *types.Params) { p.MatchIdle = 1 << 60 },
		"service_window: 301":                   func(p *types.Params) { p.ServiceWindow = 301 },
		"service_start: 359":                    func(p *types.Params) { p.ServiceStart = 359 },
		"max_failed_epochs: 0":                  func(p *types.Params) { p.MaxFailedEpochs = 0 },
		"profile_grades[0]: profile 7, grade 1": func(p *types.Params) { p.ProfileGrades = []types.ProfileGrade{{Profile: 7, Grade: 1}} },
		"profile_grades[1]: profile 2, grade 2": func(p *types.Params) { p.ProfileGrades[1].Profile = 2 },
		"profile_grades[0]: profile 2, grade 4": func(p *types.Params) { p.ProfileGrades[0].Grade = 4 },
		"service_stay: 4499":                    func(p *types.Params) { p.ServiceStay = 4_499 },
		"service_handover: 359":                 func(p *types.Params) { p.ServiceHandover = 359 },
		"service_max_offline_percent: 101":      func(p *types.Params) { p.ServiceMaxOfflinePercent = 101 },
	} {
		p := types.DefaultParams()
		change(&p)
		require.ErrorContains(t, p.Validate(), says)
	}
}

// FuzzSubmitJob: any bytes that decode to a message are either valid or refused with a short error of this module.
func FuzzSubmitJob(f *testing.F) {
	seed, err := validSubmit(f).Marshal()
	require.NoError(f, err)
	f.Add(seed)
	if seed, err = validService(f).Marshal(); err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var msg types.MsgSubmitJob
		if msg.Unmarshal(data) != nil {
			return
		}
		err := msg.Validate(ac)
		if err == nil {
			again, err := msg.Marshal()
			require.NoError(t, err)
			var back types.MsgSubmitJob
			require.NoError(t, back.Unmarshal(again))
			require.Equal(t, msg, back)
			return
		}
		require.Less(t, len(err.Error()), 1000)
	})
}

func TestOwnersAreCanonical(t *testing.T) {
	text, err := ac.BytesToString(make([]byte, 20))
	require.NoError(t, err)
	require.NoError(t, (&types.MsgCancelJob{Owner: text, JobId: jobID}).Validate(ac))
	upper := &types.MsgCancelJob{Owner: strings.ToUpper(text), JobId: jobID}
	require.ErrorIs(t, upper.Validate(ac), types.ErrInvalidField, "the same owner in another text would pass for another owner")
}

func TestWishes(t *testing.T) {
	valid := func() *types.Wishes {
		return &types.Wishes{
			Work: 1, FailureCost: 2, LatencyPrice: 3, Place: &nodestypes.Location{Latitude: 50_000_000, Longitude: 8_000_000},
			Prefer: []types.Preference{{Where: `class == 3`, Weight: 4}}, Affinity: []types.Affinity{{JobId: jobID, Apart: true}},
			Spread: types.SPREAD_REGION, Gang: true,
		}
	}
	require.NoError(t, (*types.Wishes)(nil).Validate())
	require.NoError(t, valid().Validate())
	for want, spoil := range map[string]func(*types.Wishes){
		"wishes.work: ":               func(w *types.Wishes) { w.Work = 1 << 46 },
		"wishes.failure_cost: ":       func(w *types.Wishes) { w.FailureCost = 1 << 51 },
		"wishes.pack: ":               func(w *types.Wishes) { w.Pack = 1 << 51 },
		"wishes.spread: ":             func(w *types.Wishes) { w.Spread = -1 },
		"wishes.place: latitude":      func(w *types.Wishes) { w.Place.Latitude = 90_000_001 },
		"wishes.place: none":          func(w *types.Wishes) { w.Place = nil },
		"wishes: 9 preferences":       func(w *types.Wishes) { w.Prefer = make([]types.Preference, 9) },
		"wishes.prefer[0]: condition": func(w *types.Wishes) { w.Prefer[0].Weight = 0 },
		"wishes.prefer[0].where: ":    func(w *types.Wishes) { w.Prefer[0].Where = "a\nb" },
		"wishes.affinity[0].job_id: ": func(w *types.Wishes) { w.Affinity[0].JobId = nodeID },
		"wishes.affinity[0].weight: ": func(w *types.Wishes) { w.Affinity[0].Weight = 1 << 51 },
	} {
		w := valid()
		spoil(w)
		err := w.Validate()
		require.ErrorIs(t, err, types.ErrInvalidField, want)
		require.ErrorContains(t, err, want)
	}
}
