package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

func newJobUpdateCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "update ID [FILE]", Short: "Give a service its next revision, replica by replica", Args: cobra.RangeArgs(1, 2),
		Long: `Push what a job file runs now and make it the next revision of a service. One replica takes it over first; once a quorum of oracles has seen it
healthy for an epoch, the others follow one by one, each running until its successor is healthy. An earlier file brings its revision back.
A service that keeps volumes is updated where its files are: the old revision of a replica is stopped before the new one starts.
Resources, ports, conditions and the price stay as they were submitted; replicas are changed with fog job scale.`,
		Example: "  fog job update job1…\n  fog job update job1… v1/fog.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			f, err := jobfile.Load(jobPath(args[1:]))
			if err != nil {
				return err
			}
			if f.Type != jobfile.TypeService {
				return f.Problem("type", fmt.Errorf("is %q; only a service can be updated", f.Type))
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			service, err := serviceOf(cmd.Context(), c, id)
			if err != nil {
				return err
			}
			if err := sameKeeping(f, service.Job); err != nil {
				return err
			}
			return a.withPacked(cmd.Context(), f, func(p jobclient.Packed) error {
				if err := a.push(cmd.Context(), p); err != nil {
					return err
				}
				revision, err := c.UpdateService(cmd.Context(), id, p)
				if err != nil {
					return err
				}
				out := map[string]any{"job_id": id, "revision": revision, "spec_digest": p.SpecDigest.String(), "image_digest": p.Module.String()}
				return a.print(out, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s goes over to revision %d; follow it: fog job status %s\n", id, revision, id)
					return err
				})
			})
		},
	}
}

// sameKeeping makes sure that a service with volumes still wants of them what it was submitted with: the chain updates it where it is, or moves it.
func sameKeeping(f *jobfile.File, job jobstypes.Job) error {
	switch {
	case f.KeepsVolumes() && !job.Service.KeepsVolumes:
		return f.Problem("volumes", fmt.Errorf("are new, or were not kept: %s was submitted so that updates move it; say keep_volumes: false, or submit another service", job.Id))
	case len(f.Volumes) > 0 && !f.KeepsVolumes() && job.Service.KeepsVolumes:
		return f.Problem("keep_volumes", fmt.Errorf("is false, and the volumes of %s are kept since it was submitted; remove it, or submit another service", job.Id))
	}
	return nil
}

func newJobScaleCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "scale ID REPLICAS", Short: "Change how many replicas a service has", Args: cobra.ExactArgs(2),
		Long:    "Set the number of replicas of a service. Those with the highest numbers are ended first; new ones are paid from the money that the service has.",
		Example: "  fog job scale job1… 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil || n == 0 || n > jobfile.MaxReplicas {
				return usagef("replicas %q: give 1 to %d", args[1], jobfile.MaxReplicas)
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := serviceOf(cmd.Context(), c, id); err != nil {
				return err
			}
			if err := c.ScaleService(cmd.Context(), id, uint32(n)); err != nil {
				return err
			}
			return a.print(map[string]any{"job_id": id, "replicas": n}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s wants %s now\n", id, some(n, "replica"))
				return err
			})
		},
	}
}

// serviceOf makes sure that a job is a service, before anything is built or pushed for it.
func serviceOf(ctx context.Context, c *jobclient.Client, id string) (jobclient.Service, error) {
	service, err := c.Service(ctx, id)
	if errors.Is(err, jobclient.ErrNoService) {
		return service, fmt.Errorf("%s is no service; see fog job status %s", id, id)
	}
	return service, err
}

func printService(w io.Writer, s jobclient.Service) error {
	v := s.Job.Service
	revision := num(uint64(v.Target.Number))
	switch {
	case v.Halted:
		revision += ", halted: it was unhealthy; update again, or back to " + num(uint64(v.Stable.Number))
	case v.Stable.Number != 0 && v.Stable.Number != v.Target.Number:
		revision += ", on its way from " + num(uint64(v.Stable.Number))
	}
	err := fields(w, "replicas wanted", num(uint64(v.Wanted)), "revision", revision, "paid for until", when(s.FundedUntil), "for coming epochs", fog(v.Pool))
	if err != nil || len(s.Endpoints) == 0 {
		return err
	}
	rows := [][]string{{"REPLICA", "REVISION", "STATE", "NODE", "REACHED AT"}}
	for _, e := range s.Endpoints {
		rows = append(rows, []string{num(uint64(e.Replica)), num(uint64(e.Revision)), endpointState(e), e.NodeId, addresses(e)})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, rows)
}

func endpointState(e jobstypes.Endpoint) string {
	state := "healthy"
	switch {
	case e.StartedTime == 0:
		state = "starting"
	case e.NotRunning > 0:
		state = "down for " + some(uint64(e.NotRunning), "epoch")
	case e.Unhealthy > 0:
		state = "unhealthy for " + some(uint64(e.Unhealthy), "epoch")
	}
	if e.Successor {
		state += ", takes over"
	}
	return state
}

// addresses of a replica's ports, such as web tcp://host:30001.
func addresses(e jobstypes.Endpoint) string {
	var all []string
	for _, p := range e.Ports {
		scheme := strings.ToLower(short(p.Protocol, "PROTOCOL_"))
		all = append(all, p.Name+" "+scheme+"://"+net.JoinHostPort(e.Address, strconv.Itoa(int(p.HostPort))))
	}
	return strings.Join(all, "  ")
}
