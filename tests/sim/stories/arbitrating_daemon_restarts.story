# The isolated secondary arbitrates under its own system id, and its daemon is killed and comes back: its verdict and its
# identity are as they were, its hosts see nothing.
legs 1
boot both
until whole 5s
cut peer-link
run 2s
cut path 1
run 2s
expect verdict 2 split
cut leg 1:1
run 5s
expect members h1 1
expect forwarding 2:1
kill 2
run 1s
start 2
run 3s
expect verdict 2 split
expect forwarding 2:1
expect members h1 1
