package jobclient

import (
	"context"
	"errors"

	"github.com/foggrid/fogd/offchain/jobfile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

var protocols = map[string]jobstypes.Protocol{"tcp": jobstypes.PROTOCOL_TCP, "udp": jobstypes.PROTOCOL_UDP, "": jobstypes.PROTOCOL_TCP}

// asService makes the message that of a service.
func asService(m *jobstypes.MsgSubmitJob, f *jobfile.File) {
	m.Type, m.Tasks, m.MinSuccess, m.MaxDuration = jobstypes.JOB_TYPE_SERVICE, 0, 0, 0
	m.Replicas, m.FundedTime = f.ReplicaCount(), uint64(f.FundedTime)
	m.KeepsVolumes = f.KeepsVolumes()
	for _, p := range f.Ports {
		m.Ports = append(m.Ports, jobstypes.Port{
			Name: p.Name, ContainerPort: p.ContainerPort, Protocol: protocols[p.Protocol], HostPort: p.HostPort,
		})
	}
}

// sameService tells whether a service on chain is what a message would submit, as far as it has not been changed since.
func sameService(job jobstypes.Job, msg *jobstypes.MsgSubmitJob) bool {
	if len(job.Service.Ports) != len(msg.Ports) || job.Service.KeepsVolumes != msg.KeepsVolumes {
		return false
	}
	for i, p := range msg.Ports {
		if !p.Equal(job.Service.Ports[i]) {
			return false
		}
	}
	return job.Engine == msg.Engine && job.SpecDigest == msg.SpecDigest && job.ImageDigest == msg.ImageDigest && job.PriceCap == msg.PriceCap &&
		job.Resources == msg.Resources && job.Constraints.String() == msg.Constraints.String() && job.Wishes.Equal(msg.Wishes)
}

// Service is what the chain says of a service beside its job.
type Service struct {
	Job jobstypes.Job
	// FundedUntil is the Unix second until which it is paid for at its present rate.
	FundedUntil int64
	Endpoints   []jobstypes.Endpoint
}

// ErrNoService is a job of another kind.
var ErrNoService = errors.New("the job is no service")

// Service reads a service and where it is reached.
func (c *Client) Service(ctx context.Context, id string) (Service, error) {
	job, err := c.Job(ctx, id)
	if err != nil {
		return Service{}, err
	}
	if !job.IsService() {
		return Service{}, ErrNoService
	}
	queries := jobstypes.NewQueryClient(c.Chain.Latest())
	resp, err := queries.Job(ctx, &jobstypes.QueryJobRequest{Id: id})
	if err != nil {
		return Service{}, err
	}
	ends, err := queries.Endpoints(ctx, &jobstypes.QueryEndpointsRequest{JobId: id})
	if err != nil {
		return Service{}, err
	}
	return Service{Job: resp.Job, FundedUntil: resp.FundedUntil, Endpoints: ends.Endpoints}, nil
}

// UpdateService makes a packed file the next revision of a service and returns its number.
func (c *Client) UpdateService(ctx context.Context, id string, p Packed) (uint32, error) {
	if _, err := c.Service(ctx, id); err != nil {
		return 0, err
	}
	_, err := c.Sender.Send(ctx, &jobstypes.MsgUpdateService{
		Owner: c.Sender.Address(), JobId: id, SpecDigest: p.SpecDigest.String(), ImageDigest: p.Module.String(),
	})
	if err != nil {
		return 0, err
	}
	s, err := c.Service(ctx, id)
	if err != nil {
		return 0, err
	}
	return s.Job.Service.Target.Number, nil
}

// ScaleService sets how many replicas a service has.
func (c *Client) ScaleService(ctx context.Context, id string, replicas uint32) error {
	if _, err := c.Service(ctx, id); err != nil {
		return err
	}
	_, err := c.Sender.Send(ctx, &jobstypes.MsgScaleService{Owner: c.Sender.Address(), JobId: id, Replicas: replicas})
	return err
}

// TopUpService moves ufog from the sender's wallet to a service, and returns the Unix second until which it is then paid for.
func (c *Client) TopUpService(ctx context.Context, id string, amount uint64) (until int64, err error) {
	if _, err := c.Service(ctx, id); err != nil {
		return 0, err
	}
	if _, err := c.Sender.Send(ctx, &jobstypes.MsgTopUpJob{Owner: c.Sender.Address(), JobId: id, Amount: amount}); err != nil {
		return 0, err
	}
	s, err := c.Service(ctx, id)
	return s.FundedUntil, err
}
