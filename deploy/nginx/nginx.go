// Package nginx holds the configuration of nginx in front of a gateway.
package nginx

import (
	_ "embed" // the template
	"fmt"
	"io"
	"regexp"
	"text/template"
)

//go:embed gateway.conf.tmpl
var gatewayText string

// Gateway is what the configuration is made for.
type Gateway struct {
	// Host is the public name, Upstream the host:port of the gateway.
	Host, Upstream string
	// Certificate and Key are paths of PEM files.
	Certificate, Key string
	// Trust is a folder with ca.pem and crl.pem, as `fog cert trust --keep` writes them: then whoever has no certificate of that authority is
	// refused. Empty: everybody is let in, and tokens decide.
	Trust               string
	HTTPPort, HTTPSPort uint16
}

// words are what may stand in the configuration without quoting.
var words = regexp.MustCompile(`^[A-Za-z0-9._:/\[\]*-]+$`)

// Write writes the configuration. A value that would need quoting is refused.
func (g Gateway) Write(w io.Writer) error {
	for name, value := range map[string]string{"host": g.Host, "upstream": g.Upstream, "certificate": g.Certificate, "key": g.Key, "trust": g.Trust} {
		if name == "trust" && value == "" {
			continue
		}
		if !words.MatchString(value) {
			return fmt.Errorf("%s %q; use letters, digits and . _ : / - only", name, value)
		}
	}
	t, err := template.New("gateway.conf").Parse(gatewayText)
	if err != nil {
		return err
	}
	return t.Execute(w, g)
}
