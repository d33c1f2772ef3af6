# The peer link goes, then the backup path too: the primary keeps; the secondary finds no proof of death and, by
# on-split: arbitrate, opens under its own system id, so that the hosts choose.
legs 1
boot both
until whole 5s
cut peer-link
run 2s
expect held 2:1
cut path 1
run 10s
expect verdict 1 split
expect verdict 2 split
expect role 1 primary
expect role 2 secondary
expect forwarding 1:1
expect members h1 1      # the host stays with the primary
mend path 1
mend peer-link
until whole 15s
expect role 1 primary
expect reach h2 h3
