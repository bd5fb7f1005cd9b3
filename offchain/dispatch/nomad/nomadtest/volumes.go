package nomadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// OfferVolumes gives all clients the plugin for volumes.
func (s *Server) OfferVolumes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plugin = true
}

// readNode answers with what package nomad reads of a client by its id.
func (s *Server) readNode(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if n.stub.ID != r.PathValue("id") {
			continue
		}
		attributes := map[string]string{"plugins.host_volume.mkdir.version": "0.0.1"}
		if s.plugin {
			attributes["plugins.host_volume.fog.version"] = "1.0.0"
		}
		s.answer(w, api.Node{ID: n.stub.ID, Status: n.stub.Status, Attributes: attributes})
		return
	}
	http.Error(w, "node not found", http.StatusNotFound)
}

// users are the allocations that have a volume. The caller holds mu.
func (s *Server) users(v *api.HostVolume) (ids []string) {
	for _, a := range s.allocs {
		if a.terminal() || a.node.stub.ID != v.NodeID {
			continue
		}
		for _, request := range a.job.TaskGroups[0].Volumes {
			if request.Source == v.Name && a.key.namespace == v.Namespace {
				ids = append(ids, a.stub.ID)
			}
		}
	}
	return ids
}

// hasVolumes reports whether a job's volumes are on a node and nobody else has them. The caller holds mu.
func (s *Server) hasVolumes(n *node, job *api.Job) bool {
	for _, request := range job.TaskGroups[0].Volumes {
		found := false
		for _, v := range s.volumes {
			found = found || v.NodeID == n.stub.ID && v.Name == request.Source && v.Namespace == *job.Namespace && len(s.users(v)) == 0
		}
		if request.Type != "host" || !found {
			return false
		}
	}
	return true
}

// createVolume is the client's plugin too: the size is a parameter of it.
func (s *Server) createVolume(w http.ResponseWriter, r *http.Request) {
	var req api.HostVolumeCreateRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := req.Volume
	mib, err := strconv.ParseInt(v.Parameters["mib"], 10, 32)
	if err != nil {
		http.Error(w, "error creating volume: "+err.Error(), http.StatusInternalServerError)
		return
	}
	have := s.volumes[v.ID]
	switch {
	case v.ID != "" && have == nil:
		http.Error(w, fmt.Sprintf("cannot update volume %q: volume does not exist", v.ID), http.StatusInternalServerError)
		return
	case have != nil && len(s.users(have)) > 0:
		http.Error(w, "cannot update a volume in use: claimed by allocs ("+strings.Join(s.users(have), ", ")+")", http.StatusInternalServerError)
		return
	case v.ID == "":
		for _, other := range s.volumes {
			if other.NodeID == v.NodeID && other.Name == v.Name {
				http.Error(w, "volume name already exists on this node", http.StatusInternalServerError)
				return
			}
		}
		v.ID = s.uuid()
	}
	v.CapacityBytes, v.State = mib<<20, api.HostVolumeStateReady
	s.volumes[v.ID] = v
	s.index++
	s.answer(w, api.HostVolumeCreateResponse{Volume: v})
}

func (s *Server) readVolume(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.volumes[r.PathValue("id")]
	if v == nil {
		http.Error(w, "volume not found", http.StatusNotFound)
		return
	}
	s.answer(w, v)
}

func (s *Server) listVolumes(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.plugin { // as Nomad 1.8
		return
	}
	list := []*api.HostVolumeStub{}
	q := r.URL.Query()
	for _, v := range s.volumes {
		if namespace := q.Get("namespace"); namespace != v.Namespace && namespace != api.AllNamespacesNamespace || q.Get("node_id") != "" && q.Get("node_id") != v.NodeID {
			continue
		}
		list = append(list, &api.HostVolumeStub{
			Namespace: v.Namespace, ID: v.ID, Name: v.Name, PluginID: v.PluginID, NodeID: v.NodeID, CapacityBytes: v.CapacityBytes, State: v.State,
		})
	}
	s.answer(w, list)
}

func (s *Server) deleteVolume(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.volumes[r.PathValue("id")]
	switch {
	case v == nil:
		http.Error(w, "no such volume: "+r.PathValue("id"), http.StatusInternalServerError)
		return
	case len(s.users(v)) > 0:
		http.Error(w, "volume in use", http.StatusInternalServerError)
		return
	}
	delete(s.volumes, v.ID)
	s.answer(w, api.HostVolumeDeleteResponse{})
}

// Volumes are the names of the volumes that there are, on whatever client.
func (s *Server) Volumes() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.volumes {
		names = append(names, v.Name)
	}
	return names
}
