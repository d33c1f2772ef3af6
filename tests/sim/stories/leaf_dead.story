# A leaf dies: paths and carrier fall within one detection time, so the peer is gone. The survivor is primary
# with the same identity; only the dead leaf's members leave. It comes back and joins.
legs 2
boot both
until whole 5s
flow h4 h1               # behind the survivor
off 1
run 3s
outage 1ms               # the survivor's own leg goes on
expect verdict 2 gone
expect role 2 primary
expect forwarding 2:1
expect forwarding 2:2
expect open 2:1
expect members h1 1
flow h4 h1
on 1
until whole 15s
outage 1ms
expect role 2 primary    # the one that carried traffic
expect role 1 secondary
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
expect reach h3 h4
