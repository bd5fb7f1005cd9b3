// Package nginx holds the configuration of nginx in front of a gateway.
package nginx

import (
	_ "embed" // the template
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"text/template"
)

//go:embed gateway.conf.tmpl
var gatewayText string

// Gateway is what the configuration is made for.
type Gateway struct {
	// Host is the public name, Upstream the host:port of the gateway.
	Host, Upstream string
	// Registry is the host:port of a registry beside the gateway; "" if it is the gateway's own.
	Registry string
	// Certificate and Key are paths of PEM files.
	Certificate, Key    string
	HTTPPort, HTTPSPort uint16
	// Machines is the port for those with certificates; nil for none.
	Machines *Machines
}

// Machines is a port that demands certificates of the gateway's authority.
type Machines struct {
	// Upstream is the host:port of the gateway's door for machines.
	Upstream string
	// Dir has cert.pem and key.pem, which name the gateway, ca.pem and crl.pem.
	Dir  string
	Port uint16
}

// upstreams are where requests of a port go.
type upstreams struct{ Gateway, Registry string }

func (g Gateway) upstreams(gateway string) upstreams {
	if g.Registry != "" {
		return upstreams{gateway, "http://fog_registry"}
	}
	return upstreams{gateway, gateway}
}

// words are what may stand in the configuration without quoting.
var words = regexp.MustCompile(`^[A-Za-z0-9._:/\[\]*-]+$`)

// Write writes the configuration. A value that would need quoting is refused.
func (g Gateway) Write(w io.Writer) error {
	values := map[string]string{"host": g.Host, "upstream": g.Upstream, "certificate": g.Certificate, "key": g.Key}
	if g.Registry != "" {
		values["registry"] = g.Registry
	}
	if g.Machines != nil {
		values["machines' upstream"], values["machines' folder"] = g.Machines.Upstream, g.Machines.Dir
	}
	for name, value := range values {
		if !words.MatchString(value) {
			return fmt.Errorf("%s %q; use letters, digits and . _ : / - only", name, value)
		}
	}
	if _, err := netip.ParseAddr(g.Host); err == nil && g.Machines != nil {
		return fmt.Errorf("host %q; for machines it must be a name, since nginx compares only names with the gateway's certificate", g.Host)
	}
	t, err := template.New("gateway.conf").Parse(gatewayText)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Gateway
		ForPeople, ForMachines upstreams
	}{g, g.upstreams("http://fog_gateway"), g.upstreams("https://fog_machines")})
}
