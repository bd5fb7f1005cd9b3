package types

// Work is what ends on a node.
type Work struct {
	// Released is the capacity that the Tasks give back.
	Released Resources
	Tasks    uint32
	// Ports that are free again.
	Ports []uint32
	// Done is added to the node's statistics.
	Done Statistics
	// Outcomes are added to the node's rating.
	Outcomes []Outcome
}
