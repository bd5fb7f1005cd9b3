// Package nomaddesk is where an oracle has the attempts of nodes run that are served by Nomad, in place of an agent that starts them.
//
// The assignment on chain is the authority. Every oracle watches every attempt by itself and brings its outcome to the registry, so that
// a quorum can attest what each has seen; only who registers the attempt is settled between them:
//
//	the oracle of rank k for a round may register the attempt from k·10 s after the match on
//	before that, it takes the attempt up as soon as another has registered it
//	120 s after the match nobody registers it any more; if Nomad does not have it a little later, it was not started
//
// Registering is create-only and the job's id follows from the attempt and its node, so what races between oracles, and between an oracle
// and its own restart, comes out as one job. Which region, namespace and node an attempt belongs to is read from the chain at the height of its match:
// all oracles read the same.
//
// An attempt that the chain does not have MATCHED any more is stopped, and forgotten without a purge: the job stays in Nomad
// until Nomad's own collection, so that an oracle that is behind the chain finds it in place of registering it again. Each minute the jobs are swept that
// nobody wants, by what the chain says of them: a chain that does not know an attempt yet says nothing.
package nomaddesk
