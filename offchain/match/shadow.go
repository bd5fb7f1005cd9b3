package match

// Shadow lets a policy act and a second one decide on the same snapshots without acting, so that a new policy can be
// judged before it is trusted.
type Shadow struct {
	Acting, Watching Policy
	// Judge estimates the losses of both batches by what it has learnt.
	Judge Learned
	// Seen is told of each round. It must not keep the batches for changing.
	Seen func(Comparison)
}

var _ Policy = Shadow{}

// Comparison is a round under two policies.
type Comparison struct {
	Acting, Watching Batch
	// Same is how many tasks both gave to the same node, of Tasks that either placed.
	Same, Tasks uint64
	// ActingLoss and WatchingLoss are the expected losses in ufog of the tasks that both placed.
	ActingLoss, WatchingLoss uint64
	// Err is what the policy that watches failed with.
	Err error
}

// Match is the acting policy's; whatever the other one does changes nothing.
func (s Shadow) Match(snapshot Snapshot, seed Seed) (Batch, error) {
	batch, err := s.Acting.Match(snapshot, seed)
	if err != nil || s.Seen == nil {
		return batch, err
	}
	c := Comparison{Acting: batch}
	if c.Watching, c.Err = s.Watching.Match(snapshot, seed); c.Err == nil {
		c.Err = s.judge(snapshot, seed, &c)
	}
	s.Seen(c)
	return batch, nil
}

type taskID struct {
	slice uint32
	job   ID
	task  uint32
}

// judge fills in the sums. The losses are those of empty nodes: what a batch does to itself is left out for both.
func (s Shadow) judge(snapshot Snapshot, seed Seed, c *Comparison) error {
	r, err := s.Judge.begin(snapshot, seed)
	if err != nil {
		return err
	}
	where := map[taskID]ID{}
	for _, item := range c.Acting.Items {
		for i := range item.Count {
			where[taskID{item.Slice, item.Job, item.First + i}] = item.Node
		}
	}
	c.Tasks = uint64(len(where))
	loss := func(p *Pending, node ID) uint64 {
		ref, found := r.engine.Find(node)
		if !found {
			return 0
		}
		choice, shift, ok := r.engine.Evaluate(r.query(p), seed, ref)
		if !ok {
			return 0
		}
		return r.consideredOf(&choice, shift).Loss
	}
	for _, item := range c.Watching.Items {
		p := r.pending(item)
		for i := range item.Count {
			acting, both := where[taskID{item.Slice, item.Job, item.First + i}]
			switch {
			case !both:
				c.Tasks++
				continue
			case acting == item.Node:
				c.Same++
			}
			c.ActingLoss += loss(p, acting)
			c.WatchingLoss += loss(p, item.Node)
		}
	}
	return nil
}

// pending is the slice of an item.
func (r *round) pending(item Item) *Pending {
	for i := range r.queue {
		if p := &r.queue[i]; p.Job == item.Job && p.Slice == item.Slice {
			return p
		}
	}
	return &Pending{Job: item.Job}
}
