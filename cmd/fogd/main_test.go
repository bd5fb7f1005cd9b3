package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/foggrid/fogd/cmd/fogd/cmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fogd": func() { os.Exit(cmd.Run()) },
	})
}

// Each script runs fogd in an empty folder, which is its home too.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FOGD_KEYRING_BACKEND", "test")

			return nil
		},
	})
}
