package dispatchtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

// reasonCase is an assignment with how its tasks must end.
type reasonCase struct {
	name   string
	a      dispatch.Assignment
	reason dispatch.Reason
	code   uint32
}

// commonReasons hold for every engine.
func (s *suite) commonReasons() []reasonCase {
	limit := func(tasks uint32, args ...string) dispatch.Assignment {
		a := Assignment(s.guest, tasks, args...)
		a.MaxDuration = time.Second
		return a
	}
	return []reasonCase{
		{"exit code", Assignment(s.guest, 2, "exit", "3"), dispatch.ReasonExit, 3},
		{"negative exit code", Assignment(s.guest, 1, "exit", "-1"), dispatch.ReasonExit, 255},
		{"exit code 0", Assignment(s.guest, 1, "exit", "0"), dispatch.ReasonOK, 0},
		{"panic", Assignment(s.guest, 1, "panic"), dispatch.ReasonExit, 2},
		{"endless loop", limit(2, "spin"), dispatch.ReasonTimeout, 0},
		{"endless sleep", limit(1, "nap"), dispatch.ReasonTimeout, 0},
		{"memory", Assignment(s.guest, 1, "hog"), dispatch.ReasonMemory, 0},
		{"one large file", Assignment(s.guest, 1, "fill"), dispatch.ReasonOutput, 0},
		{"many files", Assignment(s.guest, 1, "names"), dispatch.ReasonOutput, 0},
		{"many folders", Assignment(s.guest, 1, "folders"), dispatch.ReasonOutput, 0},
		{"sparse file by truncate", Assignment(s.guest, 1, "truncate"), dispatch.ReasonOutput, 0},
		{"sparse file by seek", Assignment(s.guest, 1, "seek"), dispatch.ReasonOutput, 0},
		{"space is given back", Assignment(s.guest, 1, "shrink"), dispatch.ReasonOK, 0},
		{"flood of output", Assignment(s.guest, 1, "flood"), dispatch.ReasonOK, 0},
	}
}

func (s *suite) moduleReasons(t *testing.T) []reasonCase {
	return append(s.commonReasons(),
		reasonCase{"large exit code", Assignment(s.guest, 1, "exit", "256"), dispatch.ReasonExit, 255},
		reasonCase{"unlinked files", Assignment(s.guest, 1, "unlinked"), dispatch.ReasonOutput, 0},
		reasonCase{"not WebAssembly", Assignment(WriteModule(t, []byte("#!/bin/sh\n")), 2), dispatch.ReasonBadImage, 0},
		reasonCase{"empty module file", Assignment(WriteModule(t, nil), 1), dispatch.ReasonBadImage, 0},
		reasonCase{"no start function", Assignment(WriteModule(t, []byte("\x00asm\x01\x00\x00\x00")), 1), dispatch.ReasonBadImage, 0},
		reasonCase{"another module", Assignment(Module{Path: s.guest.Path, Digest: artifact.EmptyDigest}, 1), dispatch.ReasonBadImage, 0},
	)
}

func (s *suite) imageReasons(t *testing.T) []reasonCase {
	missing := ChangeImage(t, s.guest, func(c *image.Config) { c.Config.Entrypoint = []string{"/missing"} })
	idle := ChangeImage(t, s.guest, func(c *image.Config) { c.Config.Entrypoint = nil })
	foreign := writeImage(t, []byte("no program"), "riscv64")
	cases := append(s.commonReasons(),
		// The kernel says "no space left"; space that is free again when the task has ended is no proof.
		reasonCase{"unlinked files", Assignment(s.guest, 1, "unlinked"), dispatch.ReasonExit, 1},
		reasonCase{"no program in the image", Assignment(missing, 2), dispatch.ReasonBadImage, 0},
		reasonCase{"no program named", Assignment(idle, 1), dispatch.ReasonBadImage, 0},
		reasonCase{"another architecture", Assignment(foreign, 1), dispatch.ReasonBadImage, 0},
	)
	if s.checkedImages {
		return cases
	}
	damaged := writeImage(t, []byte("a program"), runtime.GOARCH)
	img, err := image.Open(damaged.Path, damaged.Digest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(image.BlobPath(img.Dir, img.Manifest.Layers[0].Digest), []byte("another"), 0o600))
	return append(cases,
		reasonCase{"damaged layer", Assignment(damaged, 1), dispatch.ReasonBadImage, 0},
		reasonCase{"another image", Assignment(Module{s.guest.Path, artifact.EmptyDigest, dispatch.EngineDocker}, 1), dispatch.ReasonBadImage, 0},
	)
}

// writeImage makes an image whose program is raw.
func writeImage(t *testing.T, raw []byte, arch string) Module {
	t.Helper()
	img, err := image.BuildBytes(filepath.Join(t.TempDir(), "image"), raw, arch)
	require.NoError(t, err)
	return Module{Path: img.Dir, Digest: img.Digest, Engine: dispatch.EngineDocker}
}

func (s *suite) testReasons(t *testing.T) {
	d := s.start(t)
	for i, c := range s.reasons(t) {
		t.Run(c.name, func(t *testing.T) {
			c.a.ID.Slice = uint32(i)
			for _, task := range RunToEnd(t, d, c.a).Tasks {
				require.Equal(t, c.reason, task.Reason, task.Message)
				require.Equal(t, c.code, task.ExitCode)
				require.Equal(t, c.reason == dispatch.ReasonOK, task.Message == "", task.Message)
				require.NotContains(t, task.Message, "\n")
				if task.Reason.KeepsOutput() {
					files := ResultFiles(t, task)
					if c.a.Args[0] == "exit" {
						require.Equal(t, map[string]string{"partial": "partial"}, files)
					}
				} else {
					require.Equal(t, artifact.EmptyDigest, task.Result)
					require.Empty(t, ResultFiles(t, task))
				}
			}
		})
	}
	// What went before has harmed nothing.
	a := Assignment(s.guest, 1, "exit", "0")
	a.ID.Slice = 999
	require.Equal(t, dispatch.ReasonOK, RunToEnd(t, d, a).Tasks[0].Reason)
}
