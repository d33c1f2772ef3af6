# One boots, the peer was never seen: the legs open after `alone`, unverified. The late peer joins as secondary.
legs 1
set alone 5s
boot 1
run 4s
expect held 1:1
expect verdict 1 unknown
run 2s
expect verdict 1 alone
expect role 1 primary
expect forwarding 1:1
run 5s
flow h2 h1
boot 2
until whole 5s
outage 1ms
expect role 1 primary
expect role 2 secondary
