package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	startFunction = "_start"
	cachedModules = 64
	// errnoNotsup is ENOTSUP of WASI preview 1.
	errnoNotsup = 58
)

// module is a compiled module, ready to be run many times at once.
type module struct {
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule
}

// loadModule compiles the module of an assignment. What is wrong with the module is a *dispatch.Failure.
func loadModule(ctx context.Context, a dispatch.Assignment, cacheDir string) (*module, error) {
	raw, err := readModule(a)
	if err != nil {
		return nil, err
	}
	need, err := preflight(raw)
	if err != nil {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the module cannot run: %v", err)
	}
	if need.tableEntries > maxTableEntries {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the module has a table of %d entries; at most %d are allowed", need.tableEntries, maxTableEntries)
	}
	if limit := uint64(a.MemoryMiB) << 20 / wasmPageBytes; need.memoryPages > limit {
		return nil, dispatch.Failf(dispatch.ReasonMemory, "the module needs %d KiB of memory to start; the limit is %d MiB",
			need.memoryPages*(wasmPageBytes>>10), a.MemoryMiB)
	}
	p, err := compileCached(ctx, raw, cacheDir)
	if err != nil {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the module cannot run: %s", firstLine(err))
	}
	return p, nil
}

func readModule(a dispatch.Assignment) (raw []byte, err error) {
	f, err := os.Open(a.ModulePath)
	if err != nil {
		return nil, dispatch.NodeFailure("read the module", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(f, maxModuleBytes+1))
	if err != nil {
		return nil, dispatch.NodeFailure("read the module", err)
	}
	if len(raw) > maxModuleBytes {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the module has more than %d MiB", maxModuleBytes>>20)
	}
	if got := artifact.DigestOf(raw); got != a.Module {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the module is %s, but %s is assigned", got, a.Module)
	}
	return raw, nil
}

// compileCached compiles with the cache on disk; a cache that does not work is cleared and done without.
func compileCached(ctx context.Context, raw []byte, cacheDir string) (*module, error) {
	if cache, err := wazero.NewCompilationCacheWithDir(cacheDir); err == nil {
		p, err := compile(ctx, raw, cache)
		if err == nil {
			return p, pruneCache(cacheDir)
		}
	}
	p, err := compile(ctx, raw, wazero.NewCompilationCache())
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(cacheDir); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func compile(ctx context.Context, raw []byte, cache wazero.CompilationCache) (_ *module, err error) {
	p := &module{cache: cache}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(cache).
		WithCloseOnContextDone(true).
		WithDebugInfoEnabled(false).
		WithCoreFeatures(api.CoreFeaturesV2.SetEnabled(api.CoreFeatureReferenceTypes, false)))
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	host, err := hostModule(ctx, p.runtime)
	if err != nil {
		return nil, err
	}
	workers := experimental.WithCompilationWorkers(ctx, goruntime.GOMAXPROCS(0))
	if p.compiled, err = p.runtime.CompileModule(workers, raw); err != nil {
		return nil, err
	}
	if err := checkInterface(p.compiled, host); err != nil {
		return nil, err
	}
	if _, err := p.runtime.InstantiateModule(ctx, host, wazero.NewModuleConfig()); err != nil {
		return nil, err
	}
	return p, nil
}

// hostModule is WASI preview 1 but for fd_renumber, whose argument would size a table of the host.
func hostModule(ctx context.Context, r wazero.Runtime) (wazero.CompiledModule, error) {
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	b.NewFunctionBuilder().WithFunc(func(_, _ uint32) uint32 { return errnoNotsup }).Export("fd_renumber")
	return b.Compile(ctx)
}

// checkInterface says what a module wants and does not get, before it is run.
func checkInterface(guest, host wazero.CompiledModule) error {
	exports := host.ExportedFunctions()
	for _, f := range guest.ImportedFunctions() {
		_, name, _ := f.Import()
		offered, ok := exports[name]
		if !ok {
			return fmt.Errorf("it imports the function %.60q, which %s does not have", name, wasi_snapshot_preview1.ModuleName)
		}
		if !slices.Equal(f.ParamTypes(), offered.ParamTypes()) || !slices.Equal(f.ResultTypes(), offered.ResultTypes()) {
			return fmt.Errorf("it imports %s with another signature than %s has", name, wasi_snapshot_preview1.ModuleName)
		}
	}
	start, ok := guest.ExportedFunctions()[startFunction]
	if !ok {
		return fmt.Errorf("it exports no function %q; build a command, not a library", startFunction)
	}
	if len(start.ParamTypes()) != 0 || len(start.ResultTypes()) != 0 {
		return fmt.Errorf("its function %q has parameters or results", startFunction)
	}
	return nil
}

func (p *module) close(ctx context.Context) error {
	return errors.Join(p.runtime.Close(ctx), p.cache.Close(ctx))
}

// pruneCache keeps the newest compiled modules. Files that another attempt removed meanwhile do not matter.
func pruneCache(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) <= cachedModules {
		return err
	}
	age := make(map[string]int64, len(files))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			age[f] = info.ModTime().UnixNano()
		}
	}
	slices.SortFunc(files, func(a, b string) int { return int(min(max(age[b]-age[a], -1), 1)) })
	for _, f := range files[cachedModules:] {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
