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
}

func newClient(r Region) (*client, error) {
	c, err := api.NewClient(&api.Config{
		Address: r.Address, Region: r.Name, SecretID: r.Token,
		TLSConfig: &api.TLSConfig{CACert: r.CACert, ClientCert: r.ClientCert, ClientKey: r.ClientKey},
	})
	if err != nil {
		return nil, fmt.Errorf("nomad region %q at %s: %w", r.Name, r.Address, err)
	}
	return &client{region: r.Name, api: c}, nil
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

func query(ctx context.Context, namespace string) *api.QueryOptions {
	return (&api.QueryOptions{Namespace: namespace}).WithContext(ctx)
}

func write(ctx context.Context, namespace string) *api.WriteOptions {
	return (&api.WriteOptions{Namespace: namespace}).WithContext(ctx)
}

// register creates a job and returns the index of its creation; that it is there already is an error like any other.
func (c *client) register(ctx context.Context, job *api.Job) (uint64, error) {
	resp, _, err := c.api.Jobs().EnforceRegister(job, 0, write(ctx, *job.Namespace))
	if err != nil {
		return 0, c.wrap("register job "+*job.ID, err)
	}
	return resp.JobModifyIndex, nil
}

func (c *client) job(ctx context.Context, namespace, id string) (*api.Job, error) {
	job, _, err := c.api.Jobs().Info(id, query(ctx, namespace))
	return job, c.wrap("read job "+id, err)
}

// deregister stops a job. A job that is not there is no error.
func (c *client) deregister(ctx context.Context, namespace, id string, purge bool) error {
	_, _, err := c.api.Jobs().DeregisterOpts(id, &api.DeregisterOptions{Purge: purge}, write(ctx, namespace))
	if err = c.wrap("deregister job "+id, err); errors.Is(err, errNotFound) {
		return nil
	}
	return err
}

// jobs lists what carries the prefix in all namespaces, with the meta of each.
func (c *client) jobs(ctx context.Context, prefix string) ([]*api.JobListStub, error) {
	q := query(ctx, api.AllNamespacesNamespace)
	q.Prefix = prefix
	list, _, err := c.api.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, q)
	return list, c.wrap("list jobs", err)
}

// allocations lists those of one job, of its present registration only, as of an index.
func (c *client) allocations(ctx context.Context, namespace, job string) ([]*api.AllocationListStub, uint64, error) {
	list, meta, err := c.api.Jobs().Allocations(job, false, query(ctx, namespace))
	if err != nil {
		return nil, 0, c.wrap("list allocations of job "+job, err)
	}
	return list, meta.LastIndex, nil
}

// allAllocations lists those of all jobs that carry the prefix, in all namespaces, as of an index.
func (c *client) allAllocations(ctx context.Context, prefix string) (all []*api.AllocationListStub, index uint64, err error) {
	q := query(ctx, api.AllNamespacesNamespace)
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
	list, _, err := c.api.Jobs().Evaluations(job, query(ctx, namespace))
	return list, c.wrap("list evaluations of job "+job, err)
}

// nodesOf lists the clients that say they serve a node of the chain.
func (c *client) nodesOf(ctx context.Context, node string) ([]*api.NodeListStub, error) {
	q := query(ctx, "")
	q.Filter = fmt.Sprintf("Meta.%s == %q", metaNode, node)
	q.Params = map[string]string{"resources": "true"}
	list, _, err := c.api.Nodes().List(q)
	return list, c.wrap("look for the client of node "+node, err)
}

func (c *client) leader(ctx context.Context) (string, error) {
	var leader string
	_, err := c.api.Raw().Query("/v1/status/leader", &leader, query(ctx, ""))
	return leader, c.wrap("ask for the leader", err)
}

// cat reads a file of an allocation. It goes through the servers, since providers' machines need not be within reach.
func (c *client) cat(ctx context.Context, namespace, alloc, file string) (io.ReadCloser, error) {
	path := "/v1/client/fs/cat/" + alloc + "?path=" + url.QueryEscape(file)
	r, err := c.api.Raw().Response(path, query(ctx, namespace))
	return r, c.wrap("read "+file+" of allocation "+alloc, err)
}

// events follows what happens to allocations in all namespaces, from an index on.
func (c *client) events(ctx context.Context, index uint64) (<-chan *api.Events, error) {
	topics := map[api.Topic][]string{api.TopicAllocation: {"*"}}
	stream, err := c.api.EventStream().Stream(ctx, topics, index, query(ctx, api.AllNamespacesNamespace))
	return stream, c.wrap("follow events", err)
}

// versions returns the version of each server and each client.
func (c *client) versions(ctx context.Context) (servers, clients []string, err error) {
	members, err := c.api.Agent().MembersOpts(query(ctx, ""))
	if err != nil {
		return nil, nil, c.wrap("list the servers", err)
	}
	for _, m := range members.Members {
		if m.Tags["region"] == c.region {
			servers = append(servers, m.Tags["build"])
		}
	}
	nodes, _, err := c.api.Nodes().List(query(ctx, ""))
	if err != nil {
		return nil, nil, c.wrap("list the clients", err)
	}
	for _, n := range nodes {
		clients = append(clients, n.Version)
	}
	return servers, clients, nil
}
