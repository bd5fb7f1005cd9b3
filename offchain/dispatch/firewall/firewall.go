// Package firewall keeps services from the machine that they run on, from the networks that it is on, and from the addresses by which
// clouds tell machines their secrets.
//
// All bridges of services lie in one range of addresses, of which the lower half is for services that open no connections and the upper half for
// those that may. So a few rules hold for every service, whichever starts or ends, and are in place before the first packet. Answers to connections
// that come in through published ports always pass. What opens none is dropped whatever its destination. What may open some reaches the
// machine's resolvers, and everything but private, shared, link-local and multicast ranges (RFC 6890) and the networks that the machine is attached
// to; the machine itself it never reaches.
//
// The rules are chains of their own in the table filter, entered from DOCKER-USER, which Docker leaves alone, or FORWARD without it, and from INPUT.
// They stay when the agent ends, since containers may run on without it; Down takes them away.
package firewall

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// special are ranges in which nothing on the internet is (RFC 6890, and multicast).
var special = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"224.0.0.0/4", "240.0.0.0/4",
}

// resolverFiles tell which resolvers the daemon passes questions on to.
var resolverFiles = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// Range is where the bridges of services are.
type Range struct{ netip.Prefix }

// MinBits and MaxBits bound how large a Range may be.
const (
	MinBits = 8
	MaxBits = 26
)

// ParseRange reads a range of IPv4 addresses, such as 10.239.0.0/16.
func ParseRange(s string) (Range, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return Range{}, fmt.Errorf("range of addresses for services: %w", err)
	case !p.Addr().Is4() || p != p.Masked() || p.Bits() < MinBits || p.Bits() > MaxBits:
		return Range{}, fmt.Errorf("range of addresses for services %q: give the first address of an IPv4 network of /%d to /%d", s, MinBits, MaxBits)
	}
	return Range{p}, nil
}

// Half is the part of the range for services that may open connections, or for those that may not.
func (r Range) Half(outbound bool) netip.Prefix {
	first := r.Addr().As4()
	if outbound {
		first[r.Bits()/8] |= 0x80 >> (r.Bits() % 8)
	}
	return netip.PrefixFrom(netip.AddrFrom4(first), r.Bits()+1)
}

// Guard holds the rules of a range.
type Guard struct {
	of                Range
	iptables, restore string
}

// New reports what is missing on this machine, if anything: iptables, or the right to use it, which root has.
func New(ctx context.Context, of Range) (*Guard, error) {
	g := &Guard{of: of}
	for _, t := range []struct {
		path *string
		name string
	}{{&g.iptables, "iptables"}, {&g.restore, "iptables-restore"}} {
		if *t.path = tool(t.name); *t.path == "" {
			return nil, fmt.Errorf("%s is not installed", t.name)
		}
	}
	if err := g.run(ctx, nil, g.iptables, "-w", "-n", "-L", "INPUT"); err != nil {
		return nil, fmt.Errorf("the rules of this machine cannot be changed; run as root: %w", err)
	}
	return g, nil
}

func tool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

func (g *Guard) run(ctx context.Context, stdin []byte, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // iptables with addresses that were parsed; there is no shell
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %.300s", filepath.Base(program), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// chain is the name of a chain of this range: a name has at most 28 characters.
func (g *Guard) chain(kind string) string {
	sum := sha256.Sum256([]byte(g.of.String()))
	return "FOG-" + hex.EncodeToString(sum[:4]) + "-" + kind
}

// Up puts the rules in place; what is there already is made anew at once.
func (g *Guard) Up(ctx context.Context) error {
	attached, err := networks(g.of.Prefix)
	if err != nil {
		return fmt.Errorf("networks of this machine: %w", err)
	}
	rules := g.rules(resolvers(resolverFiles), attached)
	if err := g.run(ctx, []byte(rules), g.restore, "-w", "--noflush"); err != nil {
		return err
	}
	for _, hook := range g.hooks(ctx) {
		if g.run(ctx, nil, g.iptables, append([]string{"-w", "-C"}, hook...)...) == nil {
			continue
		}
		if err := g.run(ctx, nil, g.iptables, append([]string{"-w", "-I"}, hook...)...); err != nil {
			return err
		}
	}
	return nil
}

// Down takes the rules away; what is not there is fine.
func (g *Guard) Down(ctx context.Context) error {
	var failed error
	for _, hook := range g.hooks(ctx) {
		if g.run(ctx, nil, g.iptables, append([]string{"-w", "-C"}, hook...)...) == nil {
			failed = errors.Join(failed, g.run(ctx, nil, g.iptables, append([]string{"-w", "-D"}, hook...)...))
		}
	}
	for _, kind := range []string{"FORWARD", "INPUT"} {
		if g.run(ctx, nil, g.iptables, "-w", "-n", "-L", g.chain(kind)) != nil {
			continue
		}
		failed = errors.Join(failed, g.run(ctx, nil, g.iptables, "-w", "-F", g.chain(kind)), g.run(ctx, nil, g.iptables, "-w", "-X", g.chain(kind)))
	}
	return failed
}

// hooks are where the chains are entered from.
func (g *Guard) hooks(ctx context.Context) [][]string {
	forward := "DOCKER-USER"
	if g.run(ctx, nil, g.iptables, "-w", "-n", "-L", forward) != nil {
		forward = "FORWARD"
	}
	return [][]string{
		{forward, "-s", g.of.String(), "-j", g.chain("FORWARD")},
		{"INPUT", "-s", g.of.String(), "-j", g.chain("INPUT")},
	}
}

// rules are what iptables-restore reads.
func (g *Guard) rules(resolvers []netip.Addr, attached []netip.Prefix) string {
	forward, input := g.chain("FORWARD"), g.chain("INPUT")
	var b strings.Builder
	fmt.Fprintf(&b, "*filter\n:%s - [0:0]\n:%s - [0:0]\n", forward, input)
	for _, chain := range []string{forward, input} {
		fmt.Fprintf(&b, "-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n", chain)
		fmt.Fprintf(&b, "-A %s -s %s -j DROP\n", chain, g.of.Half(false))
		for _, r := range resolvers {
			for _, protocol := range []string{"udp", "tcp"} {
				fmt.Fprintf(&b, "-A %s -d %s -p %s --dport 53 -j RETURN\n", chain, r, protocol)
			}
		}
	}
	for _, to := range special {
		fmt.Fprintf(&b, "-A %s -d %s -j DROP\n", forward, to)
	}
	for _, to := range attached {
		fmt.Fprintf(&b, "-A %s -d %s -j DROP\n", forward, to)
	}
	fmt.Fprintf(&b, "-A %s -j DROP\nCOMMIT\n", input)
	return b.String()
}

// networks are those that the machine is attached to, but for bridges of services.
func networks(but netip.Prefix) ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() || p.Addr().IsLoopback() || but.Contains(p.Addr()) {
			continue
		}
		all = append(all, p.Masked())
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all), nil
}

// resolvers are those that are not on the machine itself, where the daemon asks them on the container's behalf.
func resolvers(files []string) (all []netip.Addr) {
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // not every system has both
		}
		all = append(all, parseResolvers(string(raw))...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

func parseResolvers(text string) (all []netip.Addr) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && !a.IsLoopback() {
			all = append(all, a)
		}
	}
	return all
}
