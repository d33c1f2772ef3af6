# kill -9 without a restart: after the partner's timeout the hosts leave the dead daemon's legs by themselves.
# The survivor's carry on; the dead one's stay open in its dataplane, so isolation stays.
legs 1
boot both
until whole 5s
kill 1
run 10s
expect verdict 2 silent
expect members h1 1
expect forwarding 2:1
expect isolated 2:1
start 1
until whole 15s
expect role 2 primary
