# A planned restart: goodbye(restart), the dataplane frozen as it is, no role change, and no LACP transition.
legs 2
static 2
boot both
until whole 5s
speak h1
speak h3
run 100ms
flow h3 h1
restart 1
run 1s
expect verdict 2 restarting
expect role 2 secondary
start 1
until whole 5s
outage 1ms
expect role 1 primary
expect undisturbed h1
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
