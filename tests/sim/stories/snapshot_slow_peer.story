# A large table and a peer that reads slowly: the returning leaf's legs wait until the tables are equal, and the
# keepalives do not suffer.
legs 1
macs 4000
set ageing 100s
set ceiling 60s
boot both
until whole 5s
speak h1
speak h2
run 200ms
off 2
run 2s
slow 2 20000             # bytes per second
on 2
run 4s
expect verdict 1 alive
expect session 2 syncing
expect held 2:1
until whole 40s
expect tables
