package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/nomad/api"
)

// errNotFound says that Nomad does not have what was asked for.
var errNotFound = errors.New("not found in Nomad")

// client is what a dispatcher needs of one region.
type client struct {
	region string
	api    *api.Client
	token  *token
}

func newClient(r Region) (*client, error) {
	c, err := api.NewClient(&api.Config{
		Address: r.Address, Region: r.Name,
		TLSConfig: &api.TLSConfig{CACert: r.CACert, ClientCert: r.ClientCert, ClientKey: r.ClientKey},
	})
	if err != nil {
		return nil, fmt.Errorf("nomad region %q at %s: %w", r.Name, r.Address, err)
	}
	return &client{region: r.Name, api: c, token: &token{value: r.Token, file: r.TokenFile, lend: r.TokenSource}}, nil
}

// wrap names the region in an error and makes a 404 errNotFound.
func (c *client) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() && answer.StatusCode() == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", errNotFound, err)
	}
	return fmt.Errorf("nomad region %q: %s: %w", c.region, doing, err)
}

func (c *client) query(ctx context.Context, namespace string) *api.QueryOptions {
	return (&api.QueryOptions{Namespace: namespace, AuthToken: c.token.now()}).WithContext(ctx)
}

func (c *client) write(ctx context.Context, namespace string) *api.WriteOptions {
	return (&api.WriteOptions{Namespace: namespace, AuthToken: c.token.now()}).WithContext(ctx)
}

// register creates a job and returns the index of its creation; that it is there already is an error like any other.
func (c *client) register(ctx context.Context, job *api.Job) (uint64, error) {
	resp, _, err := c.api.Jobs().EnforceRegister(job, 0, c.write(ctx, *job.Namespace))
	if err != nil {
		return 0, c.wrap("register job "+*job.ID, err)
	}
	return resp.JobModifyIndex, nil
}

func (c *client) job(ctx context.Context, namespace, id string) (*api.Job, error) {
	job, _, err := c.api.Jobs().Info(id, c.query(ctx, namespace))
	return job, c.wrap("read job "+id, err)
}

// deregister stops a job. A job that is not there is no error.
func (c *client) deregister(ctx context.Context, namespace, id string, purge bool) error {
	_, _, err := c.api.Jobs().DeregisterOpts(id, &api.DeregisterOptions{Purge: purge}, c.write(ctx, namespace))
	if err = c.wrap("deregister job "+id, err); errors.Is(err, errNotFound) {
		return nil
	}
	return err
}

// jobs lists what carries the prefix in all namespaces, with the meta of each.
func (c *client) jobs(ctx context.Context, prefix string) ([]*api.JobListStub, error) {
	q := c.query(ctx, api.AllNamespacesNamespace)
	q.Prefix = prefix
	list, _, err := c.api.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, q)
	return list, c.wrap("list jobs", err)
}

// allocations lists those of one job, of its present registration only, as of an index.
func (c *client) allocations(ctx context.Context, namespace, job string) ([]*api.AllocationListStub, uint64, error) {
	list, meta, err := c.api.Jobs().Allocations(job, false, c.query(ctx, namespace))
	if err != nil {
		return nil, 0, c.wrap("list allocations of job "+job, err)
	}
	return list, meta.LastIndex, nil
}

// allAllocations lists those of all jobs in a namespace that carry the prefix, as of an index.
func (c *client) allAllocations(ctx context.Context, namespace, prefix string) (all []*api.AllocationListStub, index uint64, err error) {
	q := c.query(ctx, namespace)
	q.Filter = fmt.Sprintf("JobID matches %q", "^"+prefix)
	q.PerPage = 1000
	for {
		list, meta, err := c.api.Allocations().List(q)
		if err != nil {
			return nil, 0, c.wrap("list allocations", err)
		}
		if all = append(all, list...); index == 0 {
			index = meta.LastIndex // of the first page: what changed since may be missing
		}
		if meta.NextToken == "" {
			return all, index, nil
		}
		q.NextToken = meta.NextToken
	}
}

func (c *client) evaluations(ctx context.Context, namespace, job string) ([]*api.Evaluation, error) {
	list, _, err := c.api.Jobs().Evaluations(job, c.query(ctx, namespace))
	return list, c.wrap("list evaluations of job "+job, err)
}

// nodesOf lists the clients that say they serve a node of the chain.
func (c *client) nodesOf(ctx context.Context, node string) ([]*api.NodeListStub, error) {
	q := c.query(ctx, "")
	q.Filter = fmt.Sprintf("Meta.%s == %q", metaNode, node)
	q.Params = map[string]string{"resources": "true"}
	list, _, err := c.api.Nodes().List(q)
	return list, c.wrap("look for the client of node "+node, err)
}

// machine returns what the client of a node has.
func (c *client) machine(ctx context.Context, node string) (Machine, error) {
	list, err := c.nodesOf(ctx, node)
	if err != nil {
		return Machine{}, err
	}
	if len(list) != 1 || list[0].NodeResources == nil {
		return Machine{}, fmt.Errorf("nomad region %q has %d clients with meta %s = %q; exactly one must say so", c.region, len(list), metaNode, node)
	}
	res := list[0].NodeResources
	m := Machine{MHz: res.Cpu.CpuShares, Cores: int64(res.Cpu.TotalCpuCores), MemoryMiB: res.Memory.MemoryMB, Client: list[0].ID}
	if reserved := list[0].ReservedResources; reserved != nil {
		m.MemoryMiB -= int64(reserved.Memory.MemoryMB)
	}
	info, _, err := c.api.Nodes().Info(m.Client, c.query(ctx, ""))
	if err != nil {
		return Machine{}, c.wrap("read the client of node "+node, err)
	}
	m.Disk = info.Attributes[pluginAttribute] != ""
	return m, nil
}

func (c *client) leader(ctx context.Context) (string, error) {
	var leader string
	_, err := c.api.Raw().Query("/v1/status/leader", &leader, c.query(ctx, ""))
	return leader, c.wrap("ask for the leader", err)
}

// file is one in an allocation's folder.
type file struct{ namespace, alloc, path string }

// size returns how large a file is. It goes through the servers, since providers' machines need not be within reach. Nomad answers 404 also
// when the client has no connection just now, so only a folder that can be listed can lack a file (errNotFound).
func (c *client) size(ctx context.Context, f file) (int64, error) {
	alloc := &api.Allocation{ID: f.alloc}
	doing := "look for " + f.path + " of allocation " + f.alloc
	info, _, err := c.api.AllocFS().Stat(alloc, f.path, c.query(ctx, f.namespace))
	if err = c.wrap(doing, err); !errors.Is(err, errNotFound) {
		if err != nil {
			return 0, err
		}
		return info.Size, nil
	}
	if _, _, listErr := c.api.AllocFS().List(alloc, "/", c.query(ctx, f.namespace)); listErr != nil {
		return 0, fmt.Errorf("nomad region %q: %s: its client is out of reach: %w", c.region, doing, listErr)
	}
	info, _, err = c.api.AllocFS().Stat(alloc, f.path, c.query(ctx, f.namespace))
	if err = c.wrap(doing, err); err != nil {
		return 0, err
	}
	return info.Size, nil
}

// open reads a file from its beginning to the size that it has now. Nomad writes errors into the content, and gives a missing file's as its
// content: what comes is right only if it has that size, and is what it is expected to be.
func (c *client) open(ctx context.Context, f file) (io.ReadCloser, int64, error) {
	size, err := c.size(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	path := "/v1/client/fs/cat/" + f.alloc + "?path=" + url.QueryEscape(f.path)
	r, err := c.api.Raw().Response(path, c.query(ctx, f.namespace))
	return r, size, c.wrap("read "+f.path+" of allocation "+f.alloc, err)
}

// list returns the sizes of the files in a folder. The error is errNotFound only if the folder of the allocation itself can be listed.
func (c *client) list(ctx context.Context, folder file) (map[string]int64, error) {
	alloc := &api.Allocation{ID: folder.alloc}
	infos, _, err := c.api.AllocFS().List(alloc, folder.path, c.query(ctx, folder.namespace))
	doing := "list " + folder.path + " of allocation " + folder.alloc
	if err = c.wrap(doing, err); errors.Is(err, errNotFound) {
		if _, _, listErr := c.api.AllocFS().List(alloc, "/", c.query(ctx, folder.namespace)); listErr != nil {
			return nil, fmt.Errorf("nomad region %q: %s: its client is out of reach: %w", c.region, doing, listErr)
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, f := range infos {
		if !f.IsDir {
			sizes[f.Name] = f.Size
		}
	}
	return sizes, nil
}

// readAt reads a part of a file. What is said of open holds here too.
func (c *client) readAt(ctx context.Context, f file, offset, limit int64) (io.ReadCloser, error) {
	path := fmt.Sprintf("/v1/client/fs/readat/%s?path=%s&offset=%d&limit=%d", f.alloc, url.QueryEscape(f.path), offset, limit)
	r, err := c.api.Raw().Response(path, c.query(ctx, f.namespace))
	return r, c.wrap("read "+f.path+" of allocation "+f.alloc, err)
}

// check is what the check of a service last told; nil if it has not.
func (c *client) check(ctx context.Context, namespace, alloc string) (*api.AllocCheckStatus, error) {
	all, err := c.api.Allocations().Checks(alloc, c.query(ctx, namespace))
	if err != nil {
		return nil, c.wrap("read the checks of allocation "+alloc, err)
	}
	for _, check := range all {
		if check.Check == checkName {
			return &check, nil
		}
	}
	return nil, nil
}

// events follows what happens to allocations in a namespace, from an index on.
func (c *client) events(ctx context.Context, namespace string, index uint64) (<-chan *api.Events, error) {
	topics := map[api.Topic][]string{api.TopicAllocation: {"*"}}
	stream, err := c.api.EventStream().Stream(ctx, topics, index, c.query(ctx, namespace))
	return stream, c.wrap("follow events", err)
}

// versions returns the version of each server and each client.
func (c *client) versions(ctx context.Context) (servers, clients []string, err error) {
	members, err := c.api.Agent().MembersOpts(c.query(ctx, ""))
	if err != nil {
		return nil, nil, c.wrap("list the servers", err)
	}
	for _, m := range members.Members {
		if m.Tags["region"] == c.region {
			servers = append(servers, m.Tags["build"])
		}
	}
	nodes, _, err := c.api.Nodes().List(c.query(ctx, ""))
	if err != nil {
		return nil, nil, c.wrap("list the clients", err)
	}
	for _, n := range nodes {
		clients = append(clients, n.Version)
	}
	return servers, clients, nil
}
