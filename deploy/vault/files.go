// Package vault holds the files that `fog vault plan` and `fog vault apply` bring to a Vault: mounts, roles and policies. See
// docs/security-secrets.md for what they mean.
package vault

import "embed"

// Files are mounts.json, auth.json, objects.json and policies/ROLE.hcl.
//
//go:embed *.json policies/*.hcl
var Files embed.FS
