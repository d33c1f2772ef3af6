# The peer link is down, the backup path lives, and the primary's daemon restarts with its goodbye: its dataplane carries on,
# no role changes, the isolated secondary stays as it is, the host sees nothing.
legs 1
boot both
until whole 5s
cut peer-link
run 3s
expect held 2:1
expect role 1 primary
restart 1
run 2s
expect verdict 2 restarting
expect held 2:1
start 1
run 3s
expect role 1 primary
expect role 2 secondary
expect members h1 1
mend peer-link
until whole 15s
