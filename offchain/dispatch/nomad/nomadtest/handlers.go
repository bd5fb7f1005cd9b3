package nomadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"PUT /v1/jobs":                   s.register,
		"GET /v1/jobs":                   s.listJobs,
		"GET /v1/job/{id}":               s.readJob,
		"DELETE /v1/job/{id}":            s.deregister,
		"PUT /v1/job/{id}/plan":          s.plan,
		"GET /v1/job/{id}/allocations":   s.jobAllocations,
		"GET /v1/job/{id}/evaluations":   s.jobEvaluations,
		"GET /v1/allocations":            s.listAllocations,
		"GET /v1/nodes":                  s.listNodes,
		"GET /v1/node/{id}":              s.readNode,
		"GET /v1/volumes":                s.listVolumes,
		"PUT /v1/volume/host/create":     s.createVolume,
		"GET /v1/volume/host/{id}":       s.readVolume,
		"DELETE /v1/volume/host/{id}":    s.deleteVolume,
		"GET /v1/agent/members":          s.listMembers,
		"GET /v1/status/leader":          s.readLeader,
		"GET /v1/event/stream":           s.serveStream,
		"GET /v1/client/fs/ls/{alloc}":   s.list,
		"GET /v1/client/fs/stat/{alloc}": s.stat,
		"GET /v1/client/fs/cat/{alloc}":  s.cat,

		"GET /.well-known/jwks.json": s.serveKeys,

		"GET /v1/client/fs/readat/{alloc}":         s.readAt,
		"GET /v1/client/allocation/{alloc}/checks": s.checks,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !s.broken(w, r) {
				handle(w, r)
			}
		})
	}
	return mux
}

// answer writes a body with the headers that come with every answer of a server. The caller holds mu.
func (s *Server) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(s.index, 10))
	w.Header().Set("X-Nomad-KnownLeader", "true")
	w.Header().Set("X-Nomad-LastContact", "0")
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := w.Write(raw); err != nil {
		return // the other side is gone
	}
}

func keyOf(r *http.Request, id string) jobKey {
	namespace := r.URL.Query().Get("namespace")
	if namespace == "" {
		namespace = api.DefaultNamespace
	}
	return jobKey{namespace, id}
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var req api.JobRegisterRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := jobKey{*req.Job.Namespace, *req.Job.ID}
	if have := s.jobs[key]; have != nil && req.EnforceIndex && req.JobModifyIndex == 0 {
		http.Error(w, fmt.Sprintf("Enforcing job modify index 0: job already exists with id %q", key.id), http.StatusInternalServerError)
		return
	}
	index := s.next()
	req.Job.CreateIndex, req.Job.ModifyIndex, req.Job.JobModifyIndex = &index, &index, &index
	req.Job.Version, req.Job.Stop = new(uint64), new(bool)
	s.jobs[key] = req.Job
	s.registrations++
	s.schedule()
	s.answer(w, api.JobRegisterResponse{JobModifyIndex: index, EvalID: s.evals[key].ID})
}

// plan says whether there would be room.
func (s *Server) plan(w http.ResponseWriter, r *http.Request) {
	var req api.JobPlanRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var resp api.JobPlanResponse
	if n, why := s.choose(req.Job); n == nil {
		resp.FailedTGAllocs = map[string]*api.AllocationMetric{*req.Job.TaskGroups[0].Name: why}
	}
	s.answer(w, resp)
}

func (s *Server) readJob(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[keyOf(r, r.PathValue("id"))]
	if job == nil {
		http.Error(w, "job not found", http.StatusNotFound)
		return
	}
	s.answer(w, job)
}

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*api.JobListStub{}
	for key, job := range s.jobs {
		if strings.HasPrefix(key.id, r.URL.Query().Get("prefix")) {
			list = append(list, &api.JobListStub{
				ID: key.id, Namespace: key.namespace, Stop: *job.Stop, Meta: job.Meta,
				JobSummary: &api.JobSummary{JobID: key.id, Namespace: key.namespace},
			})
		}
	}
	s.answer(w, list)
}

// deregister stops a job, and with purge forgets it; its allocations stay known.
func (s *Server) deregister(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(r, r.PathValue("id"))
	job := s.jobs[key]
	if job == nil {
		http.Error(w, "job not found", http.StatusNotFound)
		return
	}
	*job.Stop = true
	if r.URL.Query().Get("purge") == "true" {
		delete(s.jobs, key)
	}
	for _, a := range s.allocs {
		if a.key != key || a.job != job || a.terminal() {
			continue
		}
		a.stub.DesiredStatus, a.stub.DesiredDescription = api.AllocDesiredStatusStop, "alloc not needed due to job update"
		s.changed(a)
		if !a.node.down {
			a.stop()
		}
	}
	s.answer(w, api.JobDeregisterResponse{EvalID: s.uuid()})
}

func (s *Server) jobAllocations(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(r, r.PathValue("id"))
	job := s.jobs[key]
	list := []*api.AllocationListStub{}
	for _, a := range s.allocs {
		if a.key == key && (job == nil || a.job == job) {
			list = append(list, &a.stub)
		}
	}
	s.answer(w, list)
}

func (s *Server) jobEvaluations(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*api.Evaluation{}
	if e := s.evals[keyOf(r, r.PathValue("id"))]; e != nil {
		list = append(list, e)
	}
	s.answer(w, list)
}

// listAllocations knows the one filter that package nomad uses, and leaves nothing out for it.
func (s *Server) listAllocations(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*api.AllocationListStub{}
	for _, a := range s.allocs {
		list = append(list, &a.stub)
	}
	s.answer(w, list)
}

func (s *Server) listNodes(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*api.NodeListStub{}
	filter := r.URL.Query().Get("filter")
	for _, n := range s.nodes {
		if filter == "" || filter == fmt.Sprintf("Meta.fog_node == %q", n.name) {
			list = append(list, &n.stub)
		}
	}
	s.answer(w, list)
}

func (s *Server) listMembers(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := s.shapes.members
	for _, m := range members.Members {
		m.Tags["region"] = s.opts.Region
	}
	s.answer(w, members)
}

func (s *Server) readLeader(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer(w, s.leader)
}

// path finds a file of an allocation, or writes why not: the answer when the client has no connection is that for a missing file.
func (s *Server) path(w http.ResponseWriter, r *http.Request) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		if a.stub.ID == r.PathValue("alloc") && !a.node.down && !s.unreachable {
			return filepath.Join(s.dir, "alloc", a.stub.ID, filepath.Clean("/"+r.URL.Query().Get("path"))), true
		}
	}
	http.Error(w, "No path to node", http.StatusNotFound)
	return "", false
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	path, ok := s.path(w, r)
	if !ok {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	files := []api.AllocFileInfo{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // it was moved meanwhile
		}
		files = append(files, api.AllocFileInfo{Name: e.Name(), IsDir: e.IsDir(), Size: info.Size()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer(w, files)
}

func (s *Server) stat(w http.ResponseWriter, r *http.Request) {
	path, ok := s.path(w, r)
	if !ok {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer(w, api.AllocFileInfo{Name: info.Name(), IsDir: info.IsDir(), Size: info.Size()})
}

// readAt writes a part of a file, and errors as cat does.
func (s *Server) readAt(w http.ResponseWriter, r *http.Request) {
	path, ok := s.path(w, r)
	if !ok {
		return
	}
	offset, offsetErr := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	limit, limitErr := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 64)
	if err := errors.Join(offsetErr, limitErr); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := os.Open(path)
	if err != nil {
		if _, err := io.WriteString(w, err.Error()); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	defer f.Close()
	if _, err := io.Copy(w, io.NewSectionReader(f, offset, limit)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// checks answers with what SetCheck has set for the job of the allocation.
func (s *Server) checks(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		if a.stub.ID != r.PathValue("alloc") {
			continue
		}
		if a.node.down || s.unreachable {
			http.Error(w, "No path to node", http.StatusNotFound)
			return
		}
		answer := api.AllocCheckStatuses{}
		for id, check := range s.shapes.checks {
			if set, ok := s.checked[a.key]; ok {
				check.Status, check.Output, check.StatusCode, check.Timestamp = set.Status, set.Output, set.StatusCode, set.Timestamp
				answer[id] = check
			}
		}
		s.answer(w, answer)
		return
	}
	http.Error(w, "Unknown allocation", http.StatusNotFound)
}

// cat writes a file. The real one has begun its answer before it opens the file, so an error has status 200 and is the content.
func (s *Server) cat(w http.ResponseWriter, r *http.Request) {
	path, ok := s.path(w, r)
	if !ok {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		if _, err := io.WriteString(w, err.Error()); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		panic(http.ErrAbortHandler) // the answer is cut; the other side must notice
	}
}
