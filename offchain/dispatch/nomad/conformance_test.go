package nomad_test

import (
	"testing"

	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
)

func TestConformance(t *testing.T) {
	w, _ := standIn(t)
	dispatchtest.Run(t, w.open, dispatchtest.WithRelease(w.release))
}
