# The secondary is cut off from its peer at once on every path (not its carrier), and returns: the node that
# carried traffic as primary stays it.
legs 1
boot both
until whole 5s
silence peer-link
cut path 1
run 5s
expect verdict 1 silent
expect verdict 2 silent
unsilence peer-link
mend path 1
until whole 10s
speak h1
speak h2
speak h3
run 100ms
expect tables
expect reach h2 h3
