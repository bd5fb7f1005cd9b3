package agent

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestRegistryDownThenUp(t *testing.T) {
	for name, at := range map[string]func(*http.Request) bool{
		"before the spec": func(*http.Request) bool { return true },
		"at the inputs":   func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/inputs/") },
		"at the push":     func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.oracle("a")
			job := w.job(testJob, 1, "report")
			tried := make(chan struct{}, 1000)
			w.registry.set(func(rw http.ResponseWriter, r *http.Request) bool {
				if !at(r) {
					return false
				}
				select {
				case tried <- struct{}{}:
				default:
				}
				return refuseAll(rw, r)
			})
			w.run(t.TempDir())
			id := w.match(job, 0, 0, 1)
			for range 3 * handover.Doubts { // longer than doubts would last
				<-tried
			}
			require.Zero(t, o.reports.Load())
			w.registry.open()
			require.Equal(t, link.ReasonNone, w.outcome(id).Tasks[0].Reason)
		})
	}
}

// TestRegistryDownForGood ends as the node's failure, not the job's, once the tasks' time is over.
func TestRegistryDownForGood(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	job := w.job(testJob, 2, "report")
	w.registry.set(refuseAll)
	w.run(t.TempDir())
	id := w.match(job, 0, 0, 2)
	w.edit(id, func(s *jobstypes.Slice) { s.MatchedTime = time.Now().Unix(); s.MaxDuration = 1 })
	report := w.outcome(id)
	require.Zero(t, report.ManifestDigest)
	for _, task := range report.Tasks {
		require.Equal(t, link.ReasonNode, task.Reason)
	}
}

// TestBadContent is what the job is to blame for: it ends as BAD_IMAGE without a manifest.
func TestBadContent(t *testing.T) {
	spec := func(w *world, edit func(*jobfile.Spec)) jobstypes.Job {
		job := w.job("job1pattern", 2, "report")
		s := w.specOf(job)
		edit(&s)
		return w.putJob(testJob, s)
	}
	onChain := func(w *world, edit func(*jobstypes.Job)) jobstypes.Job {
		job := w.job(testJob, 2, "report")
		edit(&job)
		w.change(func() { w.jobs[testJob] = job })
		return job
	}
	nowhere := artifact.DigestOf([]byte("nowhere"))
	for name, make := range map[string]func(*world) jobstypes.Job{
		"spec missing": func(w *world) jobstypes.Job {
			return onChain(w, func(j *jobstypes.Job) { j.SpecDigest = nowhere.String() })
		},
		"spec no digest": func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.SpecDigest = "md5:1" }) },
		"spec not canonical": func(w *world) jobstypes.Job {
			raw := []byte(`{"version": 1}`)
			w.pushTo(client.RepoSpecs, client.Spec(raw))
			return onChain(w, func(j *jobstypes.Job) { j.SpecDigest = artifact.DigestOf(raw).String() })
		},
		"module missing": func(w *world) jobstypes.Job { return spec(w, func(s *jobfile.Spec) { s.Module = nowhere }) },
		"module no wasm": func(w *world) jobstypes.Job {
			w.pushTo(client.RepoModules, client.Module(client.BytesBlob("", []byte("not wasm"))))
			return spec(w, func(s *jobfile.Spec) { s.Module = artifact.DigestOf([]byte("not wasm")) })
		},
		"inputs missing": func(w *world) jobstypes.Job { return spec(w, func(s *jobfile.Spec) { s.Inputs = nowhere }) },
		"inputs no archive": func(w *world) jobstypes.Job {
			w.pushTo(client.RepoInputs, client.Inputs(client.BytesBlob("", []byte("not an archive"))))
			return spec(w, func(s *jobfile.Spec) { s.Inputs = artifact.DigestOf([]byte("not an archive")) })
		},
		"other module on chain": func(w *world) jobstypes.Job {
			return onChain(w, func(j *jobstypes.Job) { j.ImageDigest = nowhere.String() })
		},
		"other tasks on chain":    func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.Tasks = 9 }) },
		"other memory on chain":   func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.Resources.MemoryMib++ }) },
		"other cpu on chain":      func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.Resources.CpuMilli++ }) },
		"other storage on chain":  func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.Resources.StorageMib++ }) },
		"other duration on chain": func(w *world) jobstypes.Job { return onChain(w, func(j *jobstypes.Job) { j.MaxDuration++ }) },
		"other engine on chain": func(w *world) jobstypes.Job {
			return onChain(w, func(j *jobstypes.Job) { j.Engine = nodestypes.ENGINE_DOCKER })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.oracle("a")
			w.run(t.TempDir())
			id := w.match(make(w), 0, 0, 2)
			report := w.outcome(id)
			require.Len(t, report.Tasks, 2)
			for _, task := range report.Tasks {
				require.Equal(t, link.ReasonBadImage, task.Reason)
			}
		})
	}
}

// TestDigestMismatch has a registry that serves other bytes than it was asked for.
func TestDigestMismatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		times int64
		want  link.Reason
	}{{"once", 1, link.ReasonNone}, {"always", 1 << 30, link.ReasonBadImage}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.oracle("a")
			job := w.job(testJob, 1, "report")
			var served atomic.Int64
			w.registry.set(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/modules/blobs/") || served.Add(1) > c.times {
					return false
				}
				_, err := rw.Write(make([]byte, len(guestBytes)))
				return err == nil
			})
			p := w.run(t.TempDir())
			id := w.match(job, 0, 0, 1)
			require.Equal(t, c.want, w.outcome(id).Tasks[0].Reason)
			if c.want != link.ReasonNone {
				require.Len(t, p.cached(kindBlob), 1, "wrong content must not stay")
			}
		})
	}
}
