package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	gogoproto "github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobclient"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// maxPage is the most items of the chain's lists in one answer.
const maxPage = 200

// page reads limit and key of a request: key is what the answer before called next_key.
func page(req *http.Request) (*query.PageRequest, error) {
	q := req.URL.Query()
	limit, err := number(q.Get("limit"), 100, maxPage)
	if err != nil {
		return nil, badRequest("limit: %v", err)
	}
	key, err := base64.StdEncoding.DecodeString(q.Get("key"))
	if err != nil {
		return nil, badRequest("key: take it from next_key of the page before")
	}
	return &query.PageRequest{Limit: limit, Key: key}, nil
}

func number(text string, otherwise, most uint64) (uint64, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || n > most {
		return 0, errors.New("write a number from 1 to " + strconv.FormatUint(most, 10))
	}
	return n, nil
}

// answerChain answers with a message as the chain's own REST does.
func (s *Server) answerChain(w http.ResponseWriter, m gogoproto.Message) error {
	body, err := s.cfg.Chain.Codec().Proto().MarshalJSON(m)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(body, '\n'))
	return err
}

func (s *Server) serveNodes(w http.ResponseWriter, req *http.Request, _ caller) error {
	p, err := page(req)
	if err != nil {
		return err
	}
	owner := req.URL.Query().Get("owner")
	resp, err := nodestypes.NewQueryClient(s.cfg.Chain.Latest()).Nodes(req.Context(), &nodestypes.QueryNodesRequest{Owner: owner, Pagination: p})
	if err != nil {
		return chainRefusal(err)
	}
	return s.answerChain(w, resp)
}

func (s *Server) serveNode(w http.ResponseWriter, req *http.Request, _ caller) error {
	node, err := s.facts.node(req.Context(), req.PathValue("node"))
	if err != nil {
		return chainRefusal(err)
	}
	return s.answerChain(w, &nodestypes.QueryNodeResponse{Node: node})
}

func (s *Server) serveJobs(w http.ResponseWriter, req *http.Request, who caller) error {
	p, err := page(req)
	if err != nil {
		return err
	}
	owner, err := askedOwner(s, req, who)
	if err != nil {
		return err
	}
	resp, err := jobstypes.NewQueryClient(s.cfg.Chain.Latest()).Jobs(req.Context(), &jobstypes.QueryJobsRequest{Owner: owner, Pagination: p})
	if err != nil {
		return chainRefusal(err)
	}
	return s.answerChain(w, resp)
}

// jobView is a job with its slices.
type jobView struct {
	Job    json.RawMessage   `json:"job"`
	Slices []json.RawMessage `json:"slices"`
}

func (s *Server) serveJob(w http.ResponseWriter, req *http.Request, _ caller) error {
	id := req.PathValue("job")
	job, err := s.facts.jobs.Job(req.Context(), id)
	if err != nil {
		return jobRefusal(err)
	}
	runs, err := s.facts.jobs.Slices(req.Context(), id)
	if err != nil {
		return chainRefusal(err)
	}
	codec, view := s.cfg.Chain.Codec().Proto(), jobView{Slices: []json.RawMessage{}}
	if view.Job, err = codec.MarshalJSON(&job); err != nil {
		return err
	}
	for i := range runs {
		raw, err := codec.MarshalJSON(&runs[i])
		if err != nil {
			return err
		}
		view.Slices = append(view.Slices, raw)
	}
	return answer(w, http.StatusOK, view)
}

func (s *Server) serveResults(w http.ResponseWriter, req *http.Request, _ caller) error {
	outputs, err := s.facts.jobs.Outputs(req.Context(), req.PathValue("job"), nil)
	if err != nil {
		return jobRefusal(err)
	}
	return answer(w, http.StatusOK, struct {
		Tasks []jobclient.TaskOutput `json:"tasks"`
	}{outputs})
}

func task(req *http.Request) (*uint32, error) {
	n, err := strconv.ParseUint(req.PathValue("task"), 10, 32)
	if err != nil {
		return nil, badRequest("task %.40q; write its number, from 0", req.PathValue("task"))
	}
	t := uint32(n)
	return &t, nil
}

// serveResult sends the archive of a task's output. It has been compared with the chain before the first byte; if it turns out on the
// way that the registry sends something else, the connection is cut.
func (s *Server) serveResult(w http.ResponseWriter, req *http.Request, _ caller) error {
	number, err := task(req)
	if err != nil {
		return err
	}
	outputs, err := s.facts.jobs.Outputs(req.Context(), req.PathValue("job"), number)
	if err != nil {
		return jobRefusal(err)
	}
	out := outputs[0]
	h := w.Header()
	h.Set("Content-Type", "application/x-tar")
	h.Set("Content-Length", strconv.FormatInt(out.Size, 10))
	h.Set("Fog-Digest", out.Digest.String())
	h.Set("Content-Disposition", `attachment; filename="result.tar"`)
	return s.stream(w, req, out.Digest, func() error { return s.facts.jobs.WriteOutput(req.Context(), out, w) })
}

func (s *Server) serveLog(w http.ResponseWriter, req *http.Request, _ caller) error {
	number, err := task(req)
	if err != nil {
		return err
	}
	logs, err := s.facts.jobs.Logs(req.Context(), req.PathValue("job"), number)
	if err != nil {
		return jobRefusal(err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return s.stream(w, req, artifact.Digest{}, func() error { return s.facts.jobs.WriteLog(req.Context(), logs[0], w) })
}

// stream sends a body; after its first byte an error can only be told by cutting it off.
func (s *Server) stream(w http.ResponseWriter, req *http.Request, d artifact.Digest, send func() error) error {
	if req.Method == http.MethodHead {
		return nil
	}
	if err := send(); err != nil {
		s.cfg.Log.Warn("a download broke off", "path", req.URL.Path, "digest", d, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// chainRefusal makes a malformed question the client's fault.
func chainRefusal(err error) error {
	if errors.Is(err, chain.ErrInvalidRequest) {
		return badRequest("the chain does not take this question: check ids, addresses and keys")
	}
	return err
}

// jobRefusal is chainRefusal, and of an id that is none.
func jobRefusal(err error) error {
	if errors.Is(err, escrowtypes.ErrInvalidID) {
		return badRequest("%v", err)
	}
	return chainRefusal(err)
}
