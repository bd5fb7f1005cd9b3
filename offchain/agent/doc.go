// Package agent is the program of a provider's machine: it holds a link to every oracle, on which it is measured and pinged,
// runs the slices that the chain assigns to its node, pushes their results to the registry, and reports them to the oracles.
//
// The chain alone says what runs: after each block the agent compares the MATCHED slices of its node with the attempts that it
// has under way, starts what is missing and stops what is gone. It keeps no list of its own; after a restart the same comparison
// takes up everything again, with the outcomes that the dispatcher has on disk. An attempt is therefore run at least once, its
// report has the same content whenever it is made from the same outcomes, and the oracles' votes make it count once.
//
// Below Config.Dir:
//
//	cache/blobs/<hex>    modules, specs and encrypted inputs by digest
//	cache/trees/<hex>    inputs, unpacked, by the digest of their archive
//	plain/<attempt>/in   inputs that were encrypted, while their attempt runs
//	pricing.json         what is known of prices, if the demand sets them (package autoprice)
//
// What a failure is put down to: content that the registry does not have, that has another digest, that cannot be read, or that
// contradicts the chain is the job's (BAD_IMAGE). A registry that does not answer is nobody's fault: the agent tries until the
// task's time would be over, and then says that the node could not (NODE), which queues the tasks again elsewhere.
package agent
