// Package setup brings a Vault to the state that the files of deploy/vault describe: mounts, auth methods, policies, and objects, which are
// written to a path of the API as they stand. Make compares that state with what the Vault has and returns the steps between the two; a
// plan of a Vault that was just brought there has none. What the files do not name is left alone.
//
// In the files, ${role}, ${name} and ${policies} are those of a program (what has "each" is made for every program of these roles), other
// ${…} are settings. What "needs" a setting that was not given is left out. Fields in "secret" come from environment variables; Vault never
// returns them, so they are written with the first creation or another change only.
package setup
