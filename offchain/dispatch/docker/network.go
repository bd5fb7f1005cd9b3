package docker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strconv"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/firewall"
)

const (
	// DefaultServiceNet is the range of addresses for bridges of services, 2,048 for each kind.
	DefaultServiceNet = "10.239.0.0/16"
	// subnetBits leave a bridge room for its gateway and its one container, on any release of the engine.
	subnetBits = 28
	// subnetTries bound how often the daemon may know better that a range is taken.
	subnetTries = 32
)

// Firewall keeps services from what is none of their business; it is up before each of them starts.
type Firewall interface {
	Up(ctx context.Context) error
}

// prepareNetwork makes the bridge of a service. The daemon's own pools hold about thirty, so the addresses come from here.
func (e *Engine) prepareNetwork(ctx context.Context, t Task) error {
	if e.firewall != nil {
		if err := e.firewall.Up(ctx); err != nil {
			return fmt.Errorf("firewall: %w", err)
		}
	}
	found, err := e.api.NetworkInspect(ctx, e.name(t), client.NetworkInspectOptions{})
	switch {
	case err == nil && e.confines(found.Network.IPAM, t):
		return nil
	case err == nil: // of an earlier release, or of another range
		err = errors.Join(e.removeContainer(ctx, e.name(t)), e.removeNetwork(ctx, found.Network.ID))
	case cerrdefs.IsNotFound(err):
		err = nil
	}
	if err != nil {
		return err
	}
	return e.makeNetwork(ctx, t)
}

// confines reports whether a network lies where its rules are.
func (e *Engine) confines(ipam network.IPAM, t Task) bool {
	half := e.serviceNet.Half(t.Assignment.Service.Outbound)
	return len(ipam.Config) == 1 && half.Contains(ipam.Config[0].Subnet.Addr())
}

func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	_, err := e.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

func (e *Engine) makeNetwork(ctx context.Context, t Task) error {
	e.networks.Lock()
	defer e.networks.Unlock()
	taken, err := e.taken(ctx)
	if err != nil {
		return err
	}
	half := e.serviceNet.Half(t.Assignment.Service.Outbound)
	for range subnetTries {
		subnet, ok := freeSubnet(half, e.name(t), taken)
		if !ok {
			return fmt.Errorf("all networks of %s are taken; give the agent a larger range for services", half)
		}
		_, err = e.api.NetworkCreate(ctx, e.name(t), e.network(t, subnet))
		if err == nil || !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsConflict(err) && !cerrdefs.IsInvalidArgument(err) {
			return err
		}
		taken = append(taken, subnet) // by something that only the daemon sees
	}
	return err
}

// taken are the networks of the daemon and those that this machine is attached to.
func (e *Engine) taken(ctx context.Context) (taken []netip.Prefix, err error) {
	list, err := e.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, err
	}
	for _, n := range list.Items {
		for _, c := range n.IPAM.Config {
			taken = append(taken, c.Subnet)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p.Masked())
		}
	}
	return taken, nil
}

// freeSubnet is a subnet of a half of the range that overlaps with none that is taken. Where it looks first depends on the name, so that
// several agents on a machine seldom want the same one.
func freeSubnet(half netip.Prefix, name string, taken []netip.Prefix) (netip.Prefix, bool) {
	h := fnv.New32a()
	h.Write([]byte(name))
	count := uint32(1) << (subnetBits - half.Bits())
	base := half.Addr().As4()
	first := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3])
	free := func(p netip.Prefix) bool {
		for _, t := range taken {
			if t.Overlaps(p) {
				return false
			}
		}
		return true
	}
	for i := range count {
		at := first + (h.Sum32()+i)%count<<(32-subnetBits)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), subnetBits)
		if free(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// Dial is the address at which this machine reaches a published port.
func (e *Engine) Dial(p dispatch.Port) string {
	host := e.publish
	if !host.IsValid() || host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.JoinHostPort(host.String(), strconv.Itoa(int(p.Host)))
}

// network is a bridge of the service's own.
func (e *Engine) network(t Task, subnet netip.Prefix) client.NetworkCreateOptions {
	out := bridge(t.Assignment.Service.Outbound)
	out.Labels, out.IPAM = e.labels(t), &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet}}}
	return out
}

// bridge lets its containers reach nobody on it. Without masquerading, answers to connections that they open never come back.
func bridge(outbound bool) client.NetworkCreateOptions {
	off := false
	return client.NetworkCreateOptions{
		Driver: "bridge", EnableIPv6: &off,
		Options: map[string]string{
			"com.docker.network.bridge.enable_icc":           "false",
			"com.docker.network.bridge.enable_ip_masquerade": strconv.FormatBool(outbound),
		},
	}
}

// ShareNetwork makes a bridge for services that somebody else starts, unless there is one of the name. It stays.
func (e *Engine) ShareNetwork(ctx context.Context, name string, outbound bool) error {
	_, err := e.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		_, err = e.api.NetworkCreate(ctx, name, bridge(outbound))
	}
	return err
}

func parseServiceNet(s string) (firewall.Range, error) {
	if s == "" {
		s = DefaultServiceNet
	}
	return firewall.ParseRange(s)
}
