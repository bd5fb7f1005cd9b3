package jobfile

import (
	"fmt"
	"slices"
	"strings"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// engineNames are the names of the chain's engines in job files and on command lines.
var engineNames = map[nodestypes.Engine]string{
	nodestypes.ENGINE_WASM: EngineWASM, nodestypes.ENGINE_DOCKER: EngineDocker,
}

// EngineName is an engine's name in job files.
func EngineName(e nodestypes.Engine) string {
	if name, ok := engineNames[e]; ok {
		return name
	}
	return strings.ToLower(strings.TrimPrefix(e.String(), "ENGINE_"))
}

// EngineNames are the names of the engines that a node runs.
func EngineNames(n nodestypes.Node) []string {
	if len(n.Engines) == 0 {
		return []string{EngineName(nodestypes.ENGINE_WASM)}
	}
	names := make([]string, len(n.Engines))
	for i, e := range n.Engines {
		names[i] = EngineName(e)
	}
	return names
}

// ParseEngine reads the name of an engine.
func ParseEngine(name string) (nodestypes.Engine, error) {
	for _, e := range []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER} {
		if engineNames[e] == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("engine %q is not known; use %s or %s", name, EngineWASM, EngineDocker)
}

// ParseEngines reads names of engines into the form that the chain takes: in order, each once.
func ParseEngines(names []string) ([]nodestypes.Engine, error) {
	var engines []nodestypes.Engine
	for _, name := range names {
		e, err := ParseEngine(name)
		if err != nil {
			return nil, err
		}
		engines = append(engines, e)
	}
	slices.Sort(engines)
	return slices.Compact(engines), nil
}
