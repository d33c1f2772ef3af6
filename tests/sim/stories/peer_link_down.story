# The peer link goes, the backup path stays: the secondary's legs leave in order, the primary keeps everything,
# the session moves. Back, everything opens leg by leg on proof.
legs 2
static 2
boot both
until whole 5s
flow h3 h1               # behind the primary
cut peer-link
run 1s
outage 1ms
expect verdict 1 alive
expect verdict 2 alive
expect role 1 primary
expect role 2 secondary
expect session 1 up
expect forwarding 1:1
expect forwarding 1:2
expect held 2:1
expect held 2:2
expect members h1 1
mend peer-link
until whole 5s
expect role 1 primary
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
expect reach h3 h4
