package nomad

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Access says how regions are reached, as it is given on a command line. Each value may be preceded by the region that it is for, as in
// eu=https://10.0.0.1:4646; without one it is for all.
type Access struct {
	Addresses                    []string
	CAs, Certs, Keys, TokenFiles []string
}

// Variables that Nomad's own tools know; each stands in for what is not given.
const (
	EnvAddress = "NOMAD_ADDR"
	EnvRegion  = "NOMAD_REGION"
	EnvCA      = "NOMAD_CACERT"
	EnvCert    = "NOMAD_CLIENT_CERT"
	EnvKey     = "NOMAD_CLIENT_KEY"
	EnvToken   = "NOMAD_TOKEN"
)

var regionName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// Regions reads the access to each region, tokens from their files. An address without a region is in that of NOMAD_REGION, else in
// Nomad's default, "global".
func (a Access) Regions(getenv func(string) string) ([]Region, error) {
	addresses := a.Addresses
	if len(addresses) == 0 && getenv(EnvAddress) != "" {
		addresses = []string{getenv(EnvAddress)}
	}
	var regions []Region
	for _, text := range addresses {
		r, err := parseAddress(text, cmp.Or(getenv(EnvRegion), api.GlobalRegion))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(regions, func(other Region) bool { return other.Name == r.Name }) {
			return nil, fmt.Errorf("region %q has two addresses; write REGION=URL for each region, and one URL for all servers of a region", r.Name)
		}
		regions = append(regions, r)
	}
	for _, f := range []struct {
		values []string
		env    string
		to     func(*Region) *string
	}{
		{a.CAs, EnvCA, func(r *Region) *string { return &r.CACert }},
		{a.Certs, EnvCert, func(r *Region) *string { return &r.ClientCert }},
		{a.Keys, EnvKey, func(r *Region) *string { return &r.ClientKey }},
		{a.TokenFiles, "", func(r *Region) *string { return &r.TokenFile }},
	} {
		if err := assign(regions, f.values, f.to); err != nil {
			return nil, err
		}
		for i := range regions {
			if to := f.to(&regions[i]); *to == "" && f.env != "" {
				*to = getenv(f.env)
			}
		}
	}
	for i := range regions {
		if err := regions[i].finish(getenv(EnvToken)); err != nil {
			return nil, err
		}
	}
	return regions, nil
}

// parseAddress reads [REGION=]URL.
func parseAddress(text, region string) (Region, error) {
	address := text
	if name, rest, ok := strings.Cut(text, "="); ok && !strings.Contains(name, ":") {
		region, address = name, rest
	}
	u, err := url.Parse(address)
	if err != nil {
		return Region{}, fmt.Errorf("address %q; write [REGION=]https://host:port: %w", text, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return Region{}, fmt.Errorf("address %q; write [REGION=]https://host:port", text)
	}
	if !regionName.MatchString(region) {
		return Region{}, fmt.Errorf("address %q: %q is no name of a region", text, region)
	}
	return Region{Name: region, Address: strings.TrimSuffix(address, "/")}, nil
}

// assign gives each value to the region that it names, or to all that have none yet.
func assign(regions []Region, values []string, to func(*Region) *string) error {
	var general []string
	for _, value := range values {
		i := -1
		name, rest, ok := strings.Cut(value, "=")
		if ok {
			i = slices.IndexFunc(regions, func(r Region) bool { return r.Name == name })
		}
		if i < 0 {
			general = append(general, value)
			continue
		}
		if *to(&regions[i]) != "" {
			return fmt.Errorf("region %q is given two values, %q the second", name, value)
		}
		*to(&regions[i]) = rest
	}
	if len(general) > 1 {
		return fmt.Errorf("%q and %q are both for all regions; write REGION=VALUE with a region that has an address", general[0], general[1])
	}
	for i := range regions {
		if v := to(&regions[i]); *v == "" && len(general) == 1 {
			*v = general[0]
		}
	}
	return nil
}

// finish reads the token for the first time, and checks what goes together.
func (r *Region) finish(token string) error {
	if (r.ClientCert == "") != (r.ClientKey == "") {
		return fmt.Errorf("region %q: a client certificate and its key go together", r.Name)
	}
	for _, file := range []string{r.CACert, r.ClientCert, r.ClientKey} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("region %q: %w", r.Name, err)
		}
	}
	if r.TokenFile == "" {
		r.Token = token
		return nil
	}
	var err error
	if r.Token, err = readToken(r.TokenFile); err != nil {
		return fmt.Errorf("region %q: %w", r.Name, err)
	}
	return nil
}
