// Package autoprice sets the price of an agent's node by what the oracles saw the matching offer to it (offchain/pricing).
//
// Each oracle tells, by windows of heights, how often the node was on offer at which price and how often it was taken. The Book holds
// that until more than half of the oracles have told of a window, and then takes the median of each count, once: so neither an oracle
// that lies, nor a restart of either side, nor a link that was lost makes anything count twice or much wrong. What was taken, and the
// first window that was not, are saved in one file with all else that a restart needs.
//
// The pricer handles one number, the node's lead price; the other prices keep the proportion in which the owner set them. If the owner
// sets prices by hand, the new ones are the proportion from then on.
//
// At most once an hour, and only if the price changes, the Worker sends MsgUpdateNode, in the owner's name if its key is not the owner's
// (x/authz). Whatever fails is logged with what to do about it; it never stops the agent.
package autoprice
