// Package seal encrypts archives with age (https://age-encryption.org/v1) for the keys of developers and of pushes, as a stream.
//
// A sealed archive begins, inside of what is encrypted, with a line that says what it is: the inputs under one key of one owner, or the
// result of one task. What is opened as something else than its line says is refused, so that nobody can pass one off for another. The rest
// is the archive as offchain/artifact writes it; `age -d -i KEY FILE | tail -n +2 | tar x` opens one by hand.
//
// Sealing is randomised: two seals of equal content differ, also in their digests. Nothing may compare them.
package seal
