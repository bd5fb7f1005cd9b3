package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	version "github.com/hashicorp/go-version"
)

// minVersion is the first release whose jobs have a disconnect block.
var minVersion = version.Must(version.NewVersion("1.8.0"))

// ErrTooOld says that a region has servers or clients that are too old to be used.
var ErrTooOld = errors.New("this Nomad is too old")

// Versions says what runs in one region.
type Versions struct {
	Region string
	// Servers and Clients are the distinct versions, oldest first.
	Servers, Clients []string
	// Skew describes differences that Nomad does not support, or that are on their way out; empty if there are none.
	Skew []string
}

// Check asks each region for its versions. An error says that a region cannot be asked, or is too old to be used.
func (d *Dispatcher) Check(ctx context.Context) (all []Versions, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.regions)) {
		v, regionErr := d.regions[name].versions(ctx)
		all, err = append(all, v), errors.Join(err, regionErr)
	}
	return all, err
}

func (r *region) versions(ctx context.Context) (Versions, error) {
	v := Versions{Region: r.client.region}
	servers, clients, err := r.client.versions(ctx)
	if err != nil {
		return v, err
	}
	return skew(v, servers, clients)
}

// skew fills in what the versions of servers and clients mean together.
func skew(v Versions, servers, clients []string) (Versions, error) {
	serverList, err := distinct(servers)
	if err != nil {
		return v, fmt.Errorf("nomad region %q: servers: %w", v.Region, err)
	}
	clientList, err := distinct(clients)
	if err != nil {
		return v, fmt.Errorf("nomad region %q: clients: %w", v.Region, err)
	}
	v.Servers, v.Clients = texts(serverList), texts(clientList)
	if len(serverList) == 0 {
		return v, fmt.Errorf("nomad region %q: no server answered", v.Region)
	}
	if serverList[0].Core().LessThan(minVersion) {
		return v, fmt.Errorf("nomad region %q: a server runs %s; %s or newer is needed: %w", v.Region, serverList[0], minVersion, ErrTooOld)
	}
	newest := serverList[len(serverList)-1]
	if len(serverList) > 1 {
		v.Skew = append(v.Skew, fmt.Sprintf("servers run %s to %s", serverList[0], newest))
	}
	for _, c := range clientList {
		switch {
		case c.Core().LessThan(minVersion):
			return v, fmt.Errorf("nomad region %q: a client runs %s; %s or newer is needed: %w", v.Region, c, minVersion, ErrTooOld)
		case c.GreaterThan(serverList[0]):
			v.Skew = append(v.Skew, fmt.Sprintf("clients run %s, which is newer than a server's %s", c, serverList[0]))
		case c.Segments()[0] < newest.Segments()[0]:
			v.Skew = append(v.Skew, fmt.Sprintf("clients run %s, a major version behind the servers' %s", c, newest))
		}
	}
	return v, nil
}

// distinct parses and sorts.
func distinct(texts []string) ([]*version.Version, error) {
	slices.Sort(texts)
	var list []*version.Version
	for _, t := range slices.Compact(texts) {
		v, err := version.NewVersion(t)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	slices.SortFunc(list, (*version.Version).Compare)
	return list, nil
}

func texts(list []*version.Version) (out []string) {
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}
