path "fog/data/gateway/${name}/keys/+" {
  capabilities = ["create", "read"]
}

path "fog/data/gateway/${name}/transport/+" {
  capabilities = ["create", "read"]
}

path "fog/data/gateway/${name}/values/+" {
  capabilities = ["create", "read", "update"]
}

# Its own certificate, those of agents that proved the key on chain, and the end of those whose node is jailed or retired.
path "fog-pki/sign/gateway.${name}" {
  capabilities = ["update"]
}

path "fog-pki/sign/agent" {
  capabilities = ["update"]
}

path "fog-pki/revoke" {
  capabilities = ["update"]
}

# The list of revoked certificates signed anew: the engine does so by itself only when one is revoked, and a list that has run out lets nobody in.
path "fog-pki/crl/rotate" {
  capabilities = ["read"]
}

# A user of the database on loan, and its return.
path "fog-database/creds/gateway" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}

# Secrets of jobs: they come out wrapped only, for the node that is to open them, and the gateway does not see them. What is written is
# answered wrapped too, since the rule is the path's.
path "fog/data/jobs/+/+" {
  capabilities     = ["create", "read", "update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "2m"
}

path "fog/metadata/jobs/+/+" {
  capabilities = ["create", "update", "delete"]
}

path "fog/metadata/jobs/+" {
  capabilities = ["list"]
}

# The end of what was wrapped and not opened, by its accessor.
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}
