package inventory

import (
	"context"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// smiLimit is how long NVIDIA's tool may take, which wakes the cards.
const smiLimit = 10 * time.Second

// withSMI adds what nvidia-smi tells, where it is installed.
func withSMI(ctx context.Context, known []GPU) []GPU {
	ctx, cancel := context.WithTimeout(ctx, smiLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=uuid,pci.bus_id,name", "--format=csv,noheader").Output()
	if err != nil { // there is none, or no driver
		return known
	}
	return merge(known, parseSMI(string(out)))
}

// parseSMI reads lines of id, address and model; others are left out.
func parseSMI(text string) (all []GPU) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(line, ",", 3)
		if len(fields) != 3 {
			continue
		}
		g := GPU{ID: strings.TrimSpace(fields[0]), Address: busAddress(strings.TrimSpace(fields[1])), Model: strings.TrimSpace(fields[2])}
		if validGPU(g.ID) && g.Address != "" && g.Model != "" {
			all = append(all, g)
		}
	}
	return all
}

// busAddress is an address of the PCI bus as /sys has it: nvidia-smi writes its domain with eight digits and in upper case.
func busAddress(s string) string {
	s = strings.ToLower(s)
	if domain, rest, ok := strings.Cut(s, ":"); ok && len(domain) == 8 {
		return domain[4:] + ":" + rest
	}
	return s
}

// validGPU accepts what NVIDIA's driver calls a whole card.
func validGPU(id string) bool {
	rest, ok := strings.CutPrefix(id, "GPU-")
	return ok && rest != "" && strings.Trim(rest, "0123456789abcdefABCDEF-") == ""
}

// merge puts cards in the place of those at the same address.
func merge(known, fresh []GPU) []GPU {
	at := map[string]GPU{}
	for _, list := range [][]GPU{known, fresh} {
		for _, g := range list {
			at[g.Address] = g
		}
	}
	all := make([]GPU, 0, len(at))
	for _, g := range at {
		all = append(all, g)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Address < all[j].Address })
	return all
}
