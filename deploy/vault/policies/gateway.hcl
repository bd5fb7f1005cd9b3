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

# A user of the database on loan, and its return.
path "fog-database/creds/gateway" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}
