# A token of Nomad on loan, and its return.
path "fog-nomad/creds/dispatcher" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}
