# A planned reboot: out of sync first, wait until the hosts have left, hold, goodbye. The peer is primary at once.
legs 1
boot both
until whole 5s
flow h2 h1               # behind the one that stays
shutdown 2
run 2s
outage 1ms
expect verdict 1 gone
expect role 1 primary
expect open 1:1
expect members h1 1
off 2
on 2
until whole 15s
expect role 1 primary
