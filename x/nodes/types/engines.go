package types

import "slices"

// Known reports whether e is an engine that this release knows.
func (e Engine) Known() bool { return e == ENGINE_WASM || e == ENGINE_DOCKER }

// Runs reports whether the node runs tasks of an engine.
func (n Node) Runs(e Engine) bool {
	if len(n.Engines) == 0 {
		return e == ENGINE_WASM
	}
	return slices.Contains(n.Engines, e)
}

// validateEngines takes known engines in increasing order, each once.
func validateEngines(engines []Engine) error {
	for i, e := range engines {
		if !e.Known() {
			return ErrInvalidField.Wrapf("engines[%d] %s is not known; use %s and %s", i, e, ENGINE_WASM, ENGINE_DOCKER)
		}
		if i > 0 && e <= engines[i-1] {
			return ErrInvalidField.Wrapf("engines[%d] is %s after %s; they must increase strictly", i, e, engines[i-1])
		}
	}
	return nil
}
