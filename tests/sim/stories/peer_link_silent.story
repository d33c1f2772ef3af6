# The peer link carries nothing any more, its carrier stays: keepalives on it stop, the backup path proves the peer
# alive, the secondary leaves.
legs 1
boot both
until whole 5s
silence peer-link
run 3s
expect verdict 2 alive
expect held 2:1
expect forwarding 1:1
expect members h1 1
unsilence peer-link
until whole 5s
