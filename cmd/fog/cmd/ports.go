package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// reachFlags say where services on a node are reached.
type reachFlags struct{ address, ports string }

func (f *reachFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "address", "", "host name or IP address at which services on this machine are reached; needs --ports")
	cmd.Flags().StringVar(&f.ports, "ports", "", "range of ports for services, each for TCP and UDP, such as 30000-30099; they must be open to those who use the services, and to the oracles")
}

// parsePorts reads a range of ports such as 30000-30099; empty text is none.
func parsePorts(text string) (*nodestypes.PortRange, error) {
	if text == "" {
		return nil, nil
	}
	from, to, _ := strings.Cut(text, "-")
	var r nodestypes.PortRange
	for _, part := range []struct {
		text string
		to   *uint32
	}{{from, &r.From}, {to, &r.To}} {
		n, err := strconv.ParseUint(part.text, 10, 16)
		if err != nil {
			return nil, usagef("--ports %q: write the first and the last, such as 30000-30099", text)
		}
		*part.to = uint32(n)
	}
	if err := r.Validate(); err != nil {
		return nil, usagef("--ports %q: %w", text, err)
	}
	return &r, nil
}

// reachText is where services on a node are reached, and how many ports are left.
func reachText(n nodestypes.Node) string {
	if n.Address == "" {
		return "nowhere: no address was registered"
	}
	return fmt.Sprintf("%s, ports %d to %d, %d in use", n.Address, n.Ports.From, n.Ports.To, len(n.PortsInUse))
}
