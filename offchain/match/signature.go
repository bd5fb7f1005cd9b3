package match

// signature is the set of words by which jobs select a node, or all of a block's, each hashed to one of 64 bits: so a block that holds no node of a rare
// kind is passed over without a look. The data centre is not in it: the nodes of a block lie in more of them than there are bits.
type signature struct {
	kinds  uint64 // region, architecture, system, model of GPU
	labels uint64 // attributes
}

// The kinds of words, told apart in the hash.
const (
	wordRegion = iota
	wordArch
	wordOS
	wordGPU
	wordLabel
)

func wordBit(kind uint64, words ...string) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3 // FNV-1a
	h := offset ^ kind
	for _, word := range words {
		h *= prime
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * prime
		}
	}
	return 1 << (mix(h) >> 58)
}

func (n *Node) signature() signature {
	s := signature{kinds: wordBit(wordRegion, n.Region) | wordBit(wordArch, n.Arch) | wordBit(wordOS, n.OS) | wordBit(wordGPU, n.GPUModel)}
	for _, a := range n.Attributes {
		s.labels |= wordBit(wordLabel, a.Key, a.Value)
	}
	return s
}

func (s *signature) add(o signature) {
	s.kinds |= o.kinds
	s.labels |= o.labels
}

// meets reports whether a node of the set might meet all needs.
func (s *signature) meets(needs []signature) bool {
	for _, need := range needs {
		if s.kinds&need.kinds == 0 && s.labels&need.labels == 0 {
			return false
		}
	}
	return true
}

// needs are sets of words of each of which a node must have one to take a task of p: of its constraints, and of the equalities in its condition.
func (s *state) needs(p *Pending) []signature {
	var needs []signature
	one := func(kind uint64, words []string) {
		if len(words) == 0 {
			return
		}
		var need signature
		for _, word := range words {
			need.kinds |= wordBit(kind, word)
		}
		needs = append(needs, need)
	}
	label := func(key string, values ...string) {
		var need signature
		for _, value := range values {
			need.labels |= wordBit(wordLabel, key, value)
		}
		needs = append(needs, need)
	}
	one(wordRegion, p.Constraints.Regions)
	one(wordArch, p.Constraints.Arch)
	one(wordOS, p.Constraints.OS)
	for _, a := range p.Constraints.Attributes {
		label(a.Key, a.Value)
	}
	if p.KeepsVolumes {
		label(DiskVolumes.Key, DiskVolumes.Value)
	}
	if p.Where == "" {
		return needs
	}
	program := s.where(p.Where).program
	if program == nil {
		return needs
	}
	kinds := map[string]uint64{"region": wordRegion, "arch": wordArch, "os": wordOS, "gpu_model": wordGPU}
	for _, e := range program.Equalities() {
		if kind, known := kinds[e.Name]; e.Label {
			label(e.Name, e.Values...)
		} else if known {
			one(kind, e.Values)
		}
	}
	return needs
}
