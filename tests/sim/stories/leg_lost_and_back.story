# behaviour.md section 1: one leg loses carrier, and comes back.
# The kernel redirects over the peer link by itself; the peer lifts isolation in one message; nothing is
# duplicated when the leg returns, because it waits for its grant.
legs 2
boot both
until whole 5s
speak h1
speak h3
speak h4
run 100ms
expect tables

flow h3 h1               # leaf 1's orphan to the host whose leg on leaf 1 is cut
cut leg 1:1
run 500ms
outage 10ms
expect held 1:1
expect forwarding 2:1
expect open 2:1          # frames from the peer link reach the host there
expect isolated 2:2      # the other mclag is as it was
expect members h1 1
expect undisturbed h2
expect place 1 0 peer-link

flow h3 h1
mend leg 1:1
until whole 5s
run 1s
outage 50ms              # from the grant until the host takes what its leg brings
expect isolated 2:1
expect place 1 0 leg:1
speak h1
run 100ms
expect tables
