package link

// memory is a set that forgets its oldest member when it is full.
type memory[K comparable] struct {
	order []K
	next  int
	set   map[K]struct{}
}

func newMemory[K comparable](size int) *memory[K] {
	return &memory[K]{order: make([]K, 0, size), set: make(map[K]struct{}, size)}
}

func (m *memory[K]) has(k K) bool {
	_, ok := m.set[k]
	return ok
}

func (m *memory[K]) add(k K) {
	if m.has(k) {
		return
	}
	if len(m.order) < cap(m.order) {
		m.order = append(m.order, k)
	} else {
		delete(m.set, m.order[m.next])
		m.order[m.next] = k
		m.next = (m.next + 1) % len(m.order)
	}
	m.set[k] = struct{}{}
}

// remove forgets a member and says if it was one. Its place is free only when its turn comes.
func (m *memory[K]) remove(k K) bool {
	ok := m.has(k)
	delete(m.set, k)
	return ok
}
