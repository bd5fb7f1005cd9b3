package docker

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch/firewall"
)

// DefaultHost is where the Docker Engine listens unless DOCKER_HOST says otherwise.
const DefaultHost = "unix:///var/run/docker.sock"

// None as Options.Host means that there is no Docker Engine.
const None = "none"

const (
	setupLimit   = 2 * time.Minute  // for what must be done before a task starts
	cleanupLimit = time.Minute      // for what must be done after it
	loadLimit    = 30 * time.Minute // for an image
	probeLimit   = 5 * time.Second

	defaultImageMiB = 16 << 10
)

// Options configures an Engine.
type Options struct {
	// Host is the engine's address; by default DOCKER_HOST, else DefaultHost. None: there is none.
	Host string
	// Owner tells the containers of this dispatcher from those of others on the same engine.
	Owner string
	// ImageMiB bounds an image once it is unpacked, and all images that are kept for later together; 16 GiB.
	ImageMiB uint64
	// Publish is the address of this machine on which the ports of services are published; all if empty.
	Publish string
	// ServiceNet is the range of addresses in which the bridges of services lie; DefaultServiceNet.
	ServiceNet string
	// GPUs says that the machine has some to give: tasks that are given none must not take them.
	GPUs bool
	// Firewall of that range; without one, services that may open connections reach all that the machine does.
	Firewall Firewall
}

// Engine runs tasks through the Docker Engine API.
type Engine struct {
	api     *client.Client
	scope   string
	limit   int64
	publish netip.Addr
	gpus    bool

	serviceNet firewall.Range
	firewall   Firewall
	networks   sync.Mutex // one is made at a time, so that each gets its own addresses

	mu   sync.Mutex // one image is loaded at a time
	used map[string]imageUse
}

// ErrNone says that no Docker Engine is configured.
var ErrNone = errors.New("no Docker Engine is configured")

// New makes an engine; nothing is asked of the daemon yet, which may come and go.
func New(opts Options) (*Engine, error) {
	host := cmp.Or(opts.Host, os.Getenv(client.EnvOverrideHost), DefaultHost)
	if host == None {
		return nil, ErrNone
	}
	var publish netip.Addr
	if opts.Publish != "" {
		var err error
		if publish, err = netip.ParseAddr(opts.Publish); err != nil {
			return nil, fmt.Errorf("ports of services are published on an address of this machine: %w", err)
		}
	}
	serviceNet, err := parseServiceNet(opts.ServiceNet)
	if err != nil {
		return nil, err
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, fmt.Errorf("docker host %q: %w", host, err)
	}
	owner := artifact.DigestOf([]byte(opts.Owner))
	return &Engine{
		api: api, publish: publish, scope: hex.EncodeToString(owner[:6]), limit: int64(cmp.Or(opts.ImageMiB, defaultImageMiB)) << 20, used: map[string]imageUse{},
		serviceNet: serviceNet, firewall: opts.Firewall, gpus: opts.GPUs,
	}, nil
}

// Close ends idle connections.
func (e *Engine) Close() error { return e.api.Close() }

// architectures are Go's names for the engine's.
var architectures = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}

// Probe tells whether the engine answers and can hold a task to its limits; the error says what is missing.
func (e *Engine) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	answer, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("the Docker Engine does not answer: %w", err)
	}
	info := answer.Info
	arch := cmp.Or(architectures[info.Architecture], info.Architecture)
	switch {
	case info.OSType != "linux" || arch != runtime.GOARCH:
		return fmt.Errorf("the Docker Engine runs %s/%s containers; tasks need linux/%s", info.OSType, arch, runtime.GOARCH)
	case !info.MemoryLimit || !info.CPUCfsQuota || !info.PidsLimit:
		return errors.New("the Docker Engine cannot limit memory, processors and processes; enable these cgroup controllers")
	case !slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return len(o) >= 12 && o[:12] == "name=seccomp" }):
		return errors.New("the Docker Engine filters no system calls; enable seccomp")
	}
	return nil
}

// ProbeGPUs says what keeps containers from using NVIDIA's GPUs.
func (e *Engine) ProbeGPUs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	answer, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("the Docker Engine does not answer: %w", err)
	}
	if _, ok := answer.Info.Runtimes["nvidia"]; !ok {
		return errors.New("the Docker Engine has no runtime for NVIDIA's GPUs; install the NVIDIA Container Toolkit")
	}
	return nil
}
