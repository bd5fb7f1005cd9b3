// Package challenge measures a machine that may lie about itself.
//
// An oracle (Examiner) sends tasks to an agent (Worker) and times the answers on its own clock. It never subtracts the
// round trip, because an agent could pretend to be far away; instead the work is made long against it. A score can
// therefore be too low, never too high, and the best of a few short tries is taken. When all nodes of an owner are challenged at
// the same instants (Together), the median of the tries is.
//
//   - CPU: x^(2^T) mod N, T squarings that cannot be done in parallel or skipped without the factors of N, which only the oracle
//     knows. It checks with exponents reduced modulo p−1 and q−1 (Rivest, Shamir, Wagner: Time-lock puzzles, 1996).
//   - Memory: blocks of 4 KiB, each a chain of 256 SHA-256 from the seed, then a walk in which every block read decides the
//     next one. Reading a block takes under a microsecond, recomputing it about twenty times as long, so a machine that does not
//     hold the blocks is slow. The oracle recomputes the segments of the walk that it picks after the answer. Their part of the
//     walk (an eighth if the agent is near, less if far) is the chance to find each place where an agent broke the walk to do its
//     pieces on several cores.
//   - Disk: a file of seeded 64 KiB blocks, read at random offsets in dependent lanes, past the page cache where the system
//     allows. An agent that keeps the file in RAM instead is not detected; the size bounds what that is worth.
//   - Network: bytes that do not compress, from the agent and to it, more and more until a try takes about a second; at most 16 MiB
//     a try. The agent proves what it received by its digest. A network is only measured, not declared.
//
// Seeds and starts are fresh for every task, so an old answer is a wrong one; only the memory of a round is filled once for all
// oracles (Held), each of which walks it from a start of its own. The package knows no network: see offchain/link.
package challenge
