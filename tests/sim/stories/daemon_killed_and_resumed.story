# kill -9: the dataplane goes on, carrier stays, so the peer is silent, not gone. Started again within the
# partner's timeout the daemon resumes, and the hosts see nothing.
legs 2
boot both
until whole 5s
speak h1
speak h3
run 100ms
flow h3 h1
kill 1
run 1500ms
expect verdict 2 silent
expect role 2 primary
expect isolated 2:1      # the dead daemon's leg still carries data
start 1
until whole 5s
outage 1ms
expect undisturbed h1
expect undisturbed h2
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
