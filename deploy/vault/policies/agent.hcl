# The keys of this agent: made once, read, never replaced. Its certificate comes from a gateway, which asks the chain first.
path "fog/data/agent/${name}/keys/+" {
  capabilities = ["create", "read"]
}

path "fog/data/agent/${name}/transport/+" {
  capabilities = ["create", "read"]
}

path "fog/data/agent/${name}/values/+" {
  capabilities = ["create", "read", "update"]
}
