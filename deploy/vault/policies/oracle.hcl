# The keys of this oracle: made once, read, never replaced.
path "fog/data/oracle/${name}/keys/+" {
  capabilities = ["create", "read"]
}

path "fog/data/oracle/${name}/transport/+" {
  capabilities = ["create", "read"]
}

path "fog/data/oracle/${name}/values/+" {
  capabilities = ["create", "read", "update"]
}

# Keys that sign in Vault. Nothing exports, configures, rotates or deletes them.
path "fog-transit/oracle/${name}/keys/+" {
  capabilities = ["create", "read", "update"]
}

path "fog-transit/oracle/${name}/sign/+" {
  capabilities = ["update"]
}

# Its own certificate.
path "fog-pki/sign/oracle.${name}" {
  capabilities = ["update"]
}
