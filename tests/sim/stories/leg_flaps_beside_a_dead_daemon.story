# A daemon is dead for good, and then the survivor's leg flaps. Nobody can grant it. After the long LACP timeout no host
# uses the dead one's legs any more: the leg opens all the same, isolated on our side.
legs 1
boot both
until whole 5s
kill 1
run 10s
expect verdict 2 silent
cut leg 2:1
run 2s
mend leg 2:1
run 60s
expect held 2:1
run 30s
expect forwarding 2:1
expect isolated 2:1
expect members h1 1
start 1
until whole 15s
