package types_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

var (
	owner = bytes.Repeat([]byte{7}, 20)
	agent = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
)

func registration() types.MsgRegisterNode {
	return types.MsgRegisterNode{
		Owner: "fog1", Salt: "one", AgentKey: agent.Public().(ed25519.PublicKey), Boot: "0123456789abcdef", Region: "eu", Datacenter: "eu-1",
		Capacity:   types.Resources{CpuMilli: 8_000, MemoryMib: 16_000, StorageMib: 100_000, Gpus: 1},
		Hardware:   types.Hardware{CpuModel: "EPYC 7763 (R)", Cores: 8, StorageType: types.STORAGE_TYPE_NVME, Os: "linux", Arch: "amd64"},
		Declared:   types.Benchmark{CpuSingle: 1_000, CpuAll: 8_000, MemoryMib: 16_000, MemoryBandwidth: 20_000, DiskRead: 500, StorageMib: 100_000},
		Attributes: []types.Attribute{{Key: "rack", Value: ""}, {Key: "tier", Value: "gold plated"}},
		Prices:     types.Prices{Cpu: 10_000}, Deposit: 1,
		AgentSignature: ed25519.Sign(agent, types.RegistrationBytes(owner, "one")),
	}
}

func TestRegistrationNamesTheField(t *testing.T) {
	good := registration()
	require.NoError(t, good.Validate(owner))
	many := make([]types.Attribute, types.MaxAttributes+1)
	for says, edit := range map[string]func(*types.MsgRegisterNode){
		"salt has 0 bytes; it must have 1 to 32":                            func(m *types.MsgRegisterNode) { m.Salt = "" },
		"salt has 33 bytes":                                                 func(m *types.MsgRegisterNode) { m.Salt = strings.Repeat("s", 33) },
		"salt \"a\\x00b\" must be printable ASCII":                          func(m *types.MsgRegisterNode) { m.Salt = "a\x00b" },
		"salt \"ä\" must be printable ASCII":                                func(m *types.MsgRegisterNode) { m.Salt = "ä" },
		"agent_key has 31 bytes":                                            func(m *types.MsgRegisterNode) { m.AgentKey = m.AgentKey[1:] },
		"boot has 7 characters; it must have 8 to 64":                       func(m *types.MsgRegisterNode) { m.Boot = "0123456" },
		"boot has 66 characters":                                            func(m *types.MsgRegisterNode) { m.Boot = strings.Repeat("0", 66) },
		"boot must be lower-case hex":                                       func(m *types.MsgRegisterNode) { m.Boot = "0123456789ABCDEF" },
		"boot must be lower-case hex, two digits a byte":                    func(m *types.MsgRegisterNode) { m.Boot = "0123456789abcde" },
		"region has 0 characters; it must have 1 to 32":                     func(m *types.MsgRegisterNode) { m.Region = "" },
		"region \"EU\" must hold only a-z":                                  func(m *types.MsgRegisterNode) { m.Region = "EU" },
		"datacenter has 33 characters":                                      func(m *types.MsgRegisterNode) { m.Datacenter = strings.Repeat("d", 33) },
		"hardware.cpu_model has 129 bytes":                                  func(m *types.MsgRegisterNode) { m.Hardware.CpuModel = strings.Repeat("x", 129) },
		"hardware.gpu_model \"\\n\" must be printable":                      func(m *types.MsgRegisterNode) { m.Hardware.GpuModel = "\n" },
		"hardware.cores is 0; it must be from 1 to 16384":                   func(m *types.MsgRegisterNode) { m.Hardware.Cores = 0 },
		"hardware.cores is 16385":                                           func(m *types.MsgRegisterNode) { m.Hardware.Cores = 16385 },
		"hardware.storage_type 4 is not known":                              func(m *types.MsgRegisterNode) { m.Hardware.StorageType = 4 },
		"hardware.storage_type -1 is not known":                             func(m *types.MsgRegisterNode) { m.Hardware.StorageType = -1 },
		"hardware.os has 0 characters":                                      func(m *types.MsgRegisterNode) { m.Hardware.Os = "" },
		"hardware.arch \"x86 64\" must hold only":                           func(m *types.MsgRegisterNode) { m.Hardware.Arch = "x86 64" },
		"declared.cpu_single is 0; it must be from 1 to 1125899906842624":   func(m *types.MsgRegisterNode) { m.Declared.CpuSingle = 0 },
		"declared.cpu_all is 0":                                             func(m *types.MsgRegisterNode) { m.Declared.CpuAll = 0 },
		"declared.disk_read is 1125899906842625; it must be at most":        func(m *types.MsgRegisterNode) { m.Declared.DiskRead = 1<<50 + 1 },
		"declared.memory_bandwidth is 18446744073709551615":                 func(m *types.MsgRegisterNode) { m.Declared.MemoryBandwidth = 1<<64 - 1 },
		"declared.bandwidth_kbit is 9; it is measured only":                 func(m *types.MsgRegisterNode) { m.Declared.BandwidthKbit = 9 },
		"declared.rtt_us is 1; it is measured only":                         func(m *types.MsgRegisterNode) { m.Declared.RttUs = 1 },
		"capacity.cpu_milli is 0; it must be from 1 to 8000":                func(m *types.MsgRegisterNode) { m.Capacity.CpuMilli = 0 },
		"capacity.cpu_milli is 8001; it must be from 1 to 8000 (hardware.c": func(m *types.MsgRegisterNode) { m.Capacity.CpuMilli = 8001 },
		"capacity.memory_mib is 0":                                          func(m *types.MsgRegisterNode) { m.Capacity.MemoryMib = 0 },
		"capacity.memory_mib is 16001; it must be from 1 to 16000 (declare": func(m *types.MsgRegisterNode) { m.Capacity.MemoryMib = 16001 },
		"capacity.storage_mib is 100001":                                    func(m *types.MsgRegisterNode) { m.Capacity.StorageMib = 100001 },
		"capacity.gpus is 1025; it must be from 0 to 1024":                  func(m *types.MsgRegisterNode) { m.Capacity.Gpus = 1025 },
		"attributes holds 33; at most 32":                                   func(m *types.MsgRegisterNode) { m.Attributes = many },
		"attributes must be sorted by key":                                  func(m *types.MsgRegisterNode) { m.Attributes = []types.Attribute{{Key: "b"}, {Key: "a"}} },
		"attributes[1].key \"a\" is there twice":                            func(m *types.MsgRegisterNode) { m.Attributes = []types.Attribute{{Key: "a"}, {Key: "a"}} },
		"attributes[0].key has 0 characters":                                func(m *types.MsgRegisterNode) { m.Attributes = []types.Attribute{{}} },
		"attributes[0].value has 65 bytes": func(m *types.MsgRegisterNode) {
			m.Attributes = []types.Attribute{{Key: "a", Value: strings.Repeat("v", 65)}}
		},
		"engines[0] ENGINE_UNSPECIFIED is not known; use ENGINE_WASM and": func(m *types.MsgRegisterNode) { m.Engines = []types.Engine{0} },
		"engines[1] is ENGINE_WASM after ENGINE_DOCKER; they must": func(m *types.MsgRegisterNode) {
			m.Engines = []types.Engine{types.ENGINE_DOCKER, types.ENGINE_WASM}
		},
		"engines[1] is ENGINE_WASM after ENGINE_WASM": func(m *types.MsgRegisterNode) {
			m.Engines = []types.Engine{types.ENGINE_WASM, types.ENGINE_WASM}
		},
		"prices.cpu is 1125899906842625 ufog": func(m *types.MsgRegisterNode) { m.Prices.Cpu = 1<<50 + 1 },
		"prices.memory is":                    func(m *types.MsgRegisterNode) { m.Prices.Memory = 1<<50 + 1 },
		"prices.storage is":                   func(m *types.MsgRegisterNode) { m.Prices.Storage = 1<<50 + 1 },
		"prices.gpu is":                       func(m *types.MsgRegisterNode) { m.Prices.Gpu = 1<<50 + 1 },
		"agent_signature does not prove": func(m *types.MsgRegisterNode) {
			m.AgentSignature = bytes.Clone(m.AgentSignature)
			m.AgentSignature[9] ^= 1
		},
		"agent_signature does": func(m *types.MsgRegisterNode) { m.AgentSignature = nil },
		"agent_signature":      func(m *types.MsgRegisterNode) { m.Salt = "two" },
	} {
		m := registration()
		edit(&m)
		err := m.Validate(owner)
		require.ErrorIs(t, err, types.ErrInvalidField, says)
		require.ErrorContains(t, err, says)
	}
	other := registration()
	require.ErrorContains(t, other.Validate(bytes.Repeat([]byte{8}, 20)), "agent_signature", "for one owner only")
}

func TestParamsNameTheField(t *testing.T) {
	require.NoError(t, types.DefaultParams().Validate())
	for says, edit := range map[string]func(*types.Params){
		"min_deposit is 0; it must be from 1":                       func(p *types.Params) { p.MinDeposit = 0 },
		"hours_lead is 0; it must be from 1":                        func(p *types.Params) { p.HoursLead = 0 },
		"hours_return is 86401":                                     func(p *types.Params) { p.HoursReturn = 86_401 },
		"max_offline_span is 0":                                     func(p *types.Params) { p.MaxOfflineSpan = 0 },
		"registration_fee is":                                       func(p *types.Params) { p.RegistrationFee = 1<<62 + 1 },
		"pass_percent is 101":                                       func(p *types.Params) { p.PassPercent = 101 },
		"lower_percent is 91; it must be from 1 to 90":              func(p *types.Params) { p.LowerPercent = 91 },
		"max_benchmark_tries is 0":                                  func(p *types.Params) { p.MaxBenchmarkTries = 0 },
		"liveness_epoch is 0":                                       func(p *types.Params) { p.LivenessEpoch = 0 },
		"lost_grace is 86401":                                       func(p *types.Params) { p.LostGrace = 86401 },
		"jail_transitions is 9; it must be from 1 to 8":             func(p *types.Params) { p.JailTransitions = 9 },
		"transition_window is 0":                                    func(p *types.Params) { p.TransitionWindow = 0 },
		"false_declaration_slash is 10001":                          func(p *types.Params) { p.FalseDeclarationSlash = 10001 },
		"probation_tasks is 1001":                                   func(p *types.Params) { p.ProbationTasks = 1001 },
		"benchmark_window is 0":                                     func(p *types.Params) { p.BenchmarkWindow = 0 },
		"max_drain is 0":                                            func(p *types.Params) { p.MaxDrain = 0 },
		"min_uptime_percent is 101":                                 func(p *types.Params) { p.MinUptimePercent = 101 },
		"grade_a: rtt_us 0":                                         func(p *types.Params) { p.GradeA.RttUs = 0 },
		"grade_b: rtt_us 200000, jitter_us 50000, loss_ppm 1000001": func(p *types.Params) { p.GradeB.LossPpm = 1_000_001 },
		"grade_a allows more than grade_b":                          func(p *types.Params) { p.GradeA.JitterUs = 60_000 },
	} {
		p := types.DefaultParams()
		edit(&p)
		require.ErrorIs(t, p.Validate(), types.ErrInvalidField, says)
		require.ErrorContains(t, p.Validate(), says)
	}
}

// Whatever bytes come, validation answers with nil or with a short error that names a field.
func FuzzRegisterNode(f *testing.F) {
	good := registration()
	for _, edit := range []func(*types.MsgRegisterNode){
		func(*types.MsgRegisterNode) {},
		func(m *types.MsgRegisterNode) { m.Attributes = nil },
		func(m *types.MsgRegisterNode) { m.Hardware.GpuModel = "\xff" },
		func(m *types.MsgRegisterNode) { m.Capacity.MemoryMib = 1 << 63 },
	} {
		m := good
		edit(&m)
		bz, err := m.Marshal()
		require.NoError(f, err)
		f.Add(bz)
	}
	f.Fuzz(func(t *testing.T, bz []byte) {
		var m types.MsgRegisterNode
		if m.Unmarshal(bz) != nil {
			return
		}
		if err := m.Validate(owner); err != nil {
			require.ErrorIs(t, err, types.ErrInvalidField)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		require.NoError(t, m.Capacity.FitsIn(types.Resources{
			CpuMilli: uint64(m.Hardware.Cores) * 1000, MemoryMib: m.Declared.MemoryMib, StorageMib: m.Declared.StorageMib, Gpus: 1 << 10,
		}))
		verdict, lowered, _ := types.Judge(m.Declared, m.Declared, types.DefaultParams())
		require.Equal(t, types.VerdictPass, verdict, "what reaches itself passes")
		require.Equal(t, m.Declared, lowered)
	})
}

func FuzzUpdateNode(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	for _, m := range []types.MsgUpdateNode{
		{Prices: &types.Prices{Cpu: 3}},
		{Capacity: &types.Resources{CpuMilli: 1, MemoryMib: 1}, Declared: &types.Benchmark{CpuSingle: 1, CpuAll: 1, MemoryMib: 1}},
		{ReplaceAttributes: true, Attributes: []types.Attribute{{Key: "a"}}},
	} {
		bz, err := m.Marshal()
		require.NoError(f, err)
		f.Add(bz, uint64(1), uint64(1))
	}
	good := registration()
	f.Fuzz(func(t *testing.T, bz []byte, cpu, memory uint64) {
		var m types.MsgUpdateNode
		if m.Unmarshal(bz) != nil {
			return
		}
		node := types.Node{Hardware: good.Hardware, Declared: good.Declared, Capacity: good.Capacity}
		node.Reserved = types.Resources{CpuMilli: min(cpu, node.Capacity.CpuMilli), MemoryMib: min(memory, node.Capacity.MemoryMib)}
		if m.Validate(node) != nil {
			return
		}
		if m.Capacity != nil {
			require.NoError(t, node.Reserved.FitsIn(*m.Capacity), "never below what is reserved")
		}
	})
}
