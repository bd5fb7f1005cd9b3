package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Server is a machine that can be had: what its seller says and a benchmark shows.
type Server struct {
	Vendor, Name, Arch, StorageType string
	VCPUs                           float64
	MemoryGiB, StorageGB            float64
	// NetGbps, Single, All and MemoryMBs (bandwidth) are zero where they are not known.
	NetGbps, Single, All, MemoryMBs float64
	// PriceUSD is for an hour of the whole machine.
	PriceUSD float64
}

// column of a catalogue file; optional ones may be missing, and required ones may not be empty either.
type column struct {
	name     string
	required bool
	text     func(*Server) *string
	number   func(*Server) *float64
}

var columns = []column{
	{name: "vendor", required: true, text: func(s *Server) *string { return &s.Vendor }},
	{name: "server", text: func(s *Server) *string { return &s.Name }},
	{name: "arch", text: func(s *Server) *string { return &s.Arch }},
	{name: "storage_type", text: func(s *Server) *string { return &s.StorageType }},
	{name: "threads", number: func(s *Server) *float64 { return &s.VCPUs }},
	{name: "vcpus", number: func(s *Server) *float64 { return &s.VCPUs }},
	{name: "memory_mib", required: true, number: func(s *Server) *float64 { return &s.MemoryGiB }},
	{name: "storage_gb", number: func(s *Server) *float64 { return &s.StorageGB }},
	{name: "net_gbps", number: func(s *Server) *float64 { return &s.NetGbps }},
	{name: "passmark_single", required: true, number: func(s *Server) *float64 { return &s.Single }},
	{name: "passmark_cpu", number: func(s *Server) *float64 { return &s.All }},
	{name: "mem_bw_read_mb_s", number: func(s *Server) *float64 { return &s.MemoryMBs }},
	{name: "price_usd_hour", required: true, number: func(s *Server) *float64 { return &s.PriceUSD }},
}

// MaxServers bounds a catalogue.
const MaxServers = 1 << 20

// ReadCatalogue reads servers from CSV with a heading. It needs the columns vendor, memory_mib, passmark_single, price_usd_hour and one of
// vcpus and threads; it knows server, arch, storage_type, storage_gb, net_gbps, passmark_cpu and mem_bw_read_mb_s, and leaves out others.
func ReadCatalogue(r io.Reader) ([]Server, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	heading, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("the catalogue has no heading: %w; give a CSV file such as servers.csv", err)
	}
	at := map[string]int{}
	for i, name := range heading {
		at[name] = i
	}
	for _, c := range columns {
		if _, ok := at[c.name]; c.required && !ok {
			return nil, fmt.Errorf("the catalogue has no column %s; its first line names the columns", c.name)
		}
	}
	var servers []Server
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the catalogue is not CSV: %w", err)
		}
		line, _ := in.FieldPos(0)
		s, err := parseServer(record, at)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if len(servers) == MaxServers {
			return nil, fmt.Errorf("line %d: the catalogue has more than %d servers; give a smaller one", line, MaxServers)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, errors.New("the catalogue has no servers; give one a line below the heading")
	}
	return servers, nil
}

func parseServer(record []string, at map[string]int) (Server, error) {
	var s Server
	for _, c := range columns {
		i, ok := at[c.name]
		if !ok {
			continue
		}
		text := record[i]
		switch {
		case text == "" && c.required:
			return s, fmt.Errorf("%s is empty; it must be known", c.name)
		case text == "":
		case c.text != nil:
			*c.text(&s) = text
		default:
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
				return s, fmt.Errorf("%s is %q; write a number of at least 0", c.name, text)
			}
			*c.number(&s) = v
		}
	}
	s.MemoryGiB /= 1024
	switch {
	case s.VCPUs < 1:
		return s, errors.New("vcpus and threads are not known; give one of them")
	case s.MemoryGiB == 0 || s.Single == 0 || s.PriceUSD == 0:
		return s, errors.New("memory_mib, passmark_single and price_usd_hour must be above 0")
	}
	return s, nil
}

// Generate makes a catalogue of n servers that resembles real ones: eight sellers, of which two have most, sizes in powers of two, and
// prices that follow size and speed.
func Generate(n int, seed uint64) []Server {
	r := NewRand(seed, 'g')
	names := []string{"alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple"}
	shares := []float64{0.33, 0.65, 0.79, 0.90, 0.94, 0.97, 0.99, 1}
	servers := make([]Server, n)
	for i := range servers {
		u, vendor := r.Float(), 0
		for shares[vendor] <= u {
			vendor++
		}
		s := Server{Vendor: names[vendor], Name: fmt.Sprintf("%s-%d", names[vendor], i), Arch: "amd64", StorageType: "SSD"}
		s.VCPUs = math.Exp2(float64(1 + r.IntN(6)))
		s.MemoryGiB = s.VCPUs * math.Exp2(float64(1+r.IntN(3)))
		s.Single = math.Round(min(max(2364+520*r.Norm(), 500), 4600))
		if r.Float() < 0.15 {
			s.Arch = "arm64"
		}
		if r.Float() < 0.4 {
			s.StorageGB, s.StorageType = 50*s.VCPUs, "NVME_SSD"
		}
		s.NetGbps = min(0.5*s.VCPUs, 50)
		s.All = math.Round(s.Single * s.VCPUs * 0.55 * math.Exp(0.05*r.Norm()))
		s.MemoryMBs = math.Round(9000 * math.Pow(s.VCPUs, 0.8) * math.Exp(0.15*r.Norm()))
		s.PriceUSD = math.Exp(-5.431 + 0.385*math.Log(s.VCPUs) + 0.617*math.Log(s.MemoryGiB) + 0.241*math.Log(s.Single) + 0.2*r.Norm())
		servers[i] = s
	}
	return servers
}
