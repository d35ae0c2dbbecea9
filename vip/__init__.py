"""One address for all API servers: who holds it, how it is owned, where its connections go.

`election` (pure) decides, `agent` acts, `store` keeps the lease and the record, `loopback` and
`interface` own the address, `balancer` spreads connections over the backends that `health` finds
ready. docs/adr/0002-vip-witness.md says why.
"""
