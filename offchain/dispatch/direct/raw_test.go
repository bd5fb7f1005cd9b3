package direct

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

// raw is a module written by hand: one function of type 0, which is () → () unless params says else.
type raw struct {
	params   []byte
	imports  [][2]string // functions, of type 1: (i32, i32) → i32
	tableMin uint64
	memMin   uint64
	export   string
	body     []byte
}

func leb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func vec(items ...[]byte) []byte {
	b := leb(uint64(len(items)))
	for _, item := range items {
		b = append(b, item...)
	}
	return b
}

func str(s string) []byte { return append(leb(uint64(len(s))), s...) }

func section(id byte, body []byte) []byte {
	return append(append([]byte{id}, leb(uint64(len(body)))...), body...)
}

func (r raw) bytes() []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	own := append(append([]byte{0x60}, vec(splitBytes(r.params)...)...), 0)
	m = append(m, section(1, vec(own, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}))...)
	var imports [][]byte
	for _, i := range r.imports {
		imports = append(imports, append(append(str(i[0]), str(i[1])...), 0, 1))
	}
	m = append(m, section(2, vec(imports...))...)
	m = append(m, section(3, vec([]byte{0}))...)
	if r.tableMin > 0 {
		m = append(m, section(4, vec(append([]byte{0x70, 0}, leb(r.tableMin)...)))...)
	}
	m = append(m, section(5, vec(append([]byte{0}, leb(r.memMin)...)))...)
	if r.export == "" {
		r.export = startFunction
	}
	self := byte(len(imports))
	m = append(m, section(7, vec(append(str(r.export), 0, self), append(str("memory"), 2, 0)))...)
	code := append(append([]byte{0}, r.body...), 0x0b)
	return append(m, section(10, vec(append(leb(uint64(len(code))), code...)))...)
}

func splitBytes(b []byte) (list [][]byte) {
	for _, c := range b {
		list = append(list, []byte{c})
	}
	return list
}

const (
	wasi       = "wasi_snapshot_preview1"
	i32Const   = 0x41
	opDrop     = 0x1a
	growMemory = 0x40
)

func TestRawModules(t *testing.T) {
	grow := func(rest ...byte) []byte { // memory.grow by 60000 pages
		return append([]byte{i32Const, 0xe0, 0xd4, 0x03, growMemory, 0}, rest...)
	}
	for i, c := range []struct {
		name    string
		module  raw
		want    dispatch.Reason
		message string
	}{
		{"nothing", raw{}, dispatch.ReasonOK, ""},
		{"unreachable", raw{body: []byte{0x00}}, dispatch.ReasonTrap, "unreachable"},
		{"endless recursion", raw{body: []byte{0x10, 0}}, dispatch.ReasonTrap, "stack overflow"},
		{"endless loop without calls", raw{body: []byte{0x03, 0x40, 0x0c, 0, 0x0b}}, dispatch.ReasonTimeout, "ran longer than"},
		{"load beyond the memory", raw{memMin: 1, body: []byte{i32Const, 0x7f, 0x28, 0, 0, opDrop}}, dispatch.ReasonTrap, "out of bounds"},
		{"memory at start over the limit", raw{memMin: 1025}, dispatch.ReasonMemory, "65600 KiB"},
		{"memory at start at the limit", raw{memMin: 1024}, dispatch.ReasonOK, ""},
		{"memory refused, then a crash", raw{body: grow(opDrop, 0x00)}, dispatch.ReasonMemory, "more than 64 MiB"},
		{"memory refused, and borne", raw{body: grow(opDrop)}, dispatch.ReasonOK, ""},
		{"huge table", raw{tableMin: 1<<20 + 1}, dispatch.ReasonBadImage, "table"},
		{"growing table", raw{tableMin: 1, body: []byte{0xd0, 0x70, i32Const, 1, 0xfc, 0x0f, 0, opDrop}}, dispatch.ReasonBadImage, "reference-types"},
		{"foreign import", raw{imports: [][2]string{{"env", "f"}}}, dispatch.ReasonBadImage, "env"},
		{"unknown import", raw{imports: [][2]string{{wasi, "fork"}}}, dispatch.ReasonBadImage, "fork"},
		{"import with another signature", raw{imports: [][2]string{{wasi, "proc_exit"}}}, dispatch.ReasonBadImage, "signature"},
		{"renumbering files into the void", raw{imports: [][2]string{{wasi, "fd_renumber"}},
			body: []byte{i32Const, 0, i32Const, 0xff, 0xff, 0xff, 0xff, 0x07, 0x10, 0, i32Const, 58, 0x47, 0x04, 0x40, 0x00, 0x0b}}, dispatch.ReasonOK, ""},
		{"start with parameters", raw{params: []byte{0x7f}}, dispatch.ReasonBadImage, "parameters"},
		{"library", raw{export: "_initialize"}, dispatch.ReasonBadImage, "command"},
		{"invalid code", raw{body: []byte{opDrop}}, dispatch.ReasonBadImage, "cannot run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openDirect(t, Options{Dir: t.TempDir()})
			a := dispatchtest.Assignment(dispatchtest.WriteModule(t, c.module.bytes()), 1)
			a.ID.Slice = uint32(i)
			if c.want == dispatch.ReasonTimeout {
				a.MaxDuration = 500 * time.Millisecond
			}
			task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
			require.Equal(t, c.want, task.Reason, task.Message)
			require.Contains(t, task.Message, c.message)
			require.NotContains(t, task.Message, "\n")
		})
	}
}

func TestModuleTooLarge(t *testing.T) {
	d := openDirect(t, Options{Dir: t.TempDir()})
	a := dispatchtest.Assignment(dispatchtest.WriteModule(t, make([]byte, maxModuleBytes+1)), 1)
	task := dispatchtest.RunToEnd(t, d, a).Tasks[0]
	require.Equal(t, dispatch.ReasonBadImage, task.Reason)
	require.Contains(t, task.Message, "64 MiB")
}

func TestPreflight(t *testing.T) {
	got, err := preflight(raw{tableMin: 7, memMin: 9, imports: [][2]string{{wasi, "fd_write"}}}.bytes())
	require.NoError(t, err)
	require.Equal(t, needs{memoryPages: 9, tableEntries: 7}, got)
	_, err = preflight([]byte(strings.Repeat("x", 20)))
	require.Error(t, err)
}

func FuzzPreflight(f *testing.F) {
	f.Add(raw{}.bytes())
	f.Add(raw{tableMin: 1 << 40, memMin: 1 << 63, imports: [][2]string{{wasi, "fd_write"}, {"env", "f"}}}.bytes())
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x05\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, module []byte) {
		n, err := preflight(module)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
		}
		_ = n
	})
}

// TestHostStaysResponsive runs more endless loops than there are processors. The agent must go on answering pings meanwhile, although
// compiled WebAssembly cannot be preempted where Go can: goroutines must get their turn, and garbage collections must end.
func TestHostStaysResponsive(t *testing.T) {
	d := openDirect(t, Options{Dir: t.TempDir(), CPUMilli: 4000})
	loop := raw{body: []byte{0x03, 0x40, 0x0c, 0, 0x0b}}
	a := dispatchtest.Assignment(dispatchtest.WriteModule(t, loop.bytes()), 4)
	a.CPUMilli = 1000
	require.NoError(t, d.Start(t.Context(), a))
	require.Eventually(t, func() bool {
		tasks, err := filepath.Glob(filepath.Join(attemptDir(d.opts.Dir, a.ID), tasksName, "*", logName))
		return err == nil && len(tasks) == 4
	}, time.Minute, time.Millisecond)

	var worst time.Duration
	for range 20 {
		began := time.Now()
		time.Sleep(time.Millisecond)
		runtime.Gosched()
		worst = max(worst, time.Since(began))
	}
	began := time.Now()
	runtime.GC()
	t.Logf("slowest turn %s, collection %s", worst, time.Since(began))
	// Where they cannot get their turn, they wait for the loops' minute to be over.
	require.Less(t, worst, 20*time.Second)
	require.Less(t, time.Since(began), 20*time.Second)
	require.NoError(t, d.Stop(t.Context(), a.ID))
}
