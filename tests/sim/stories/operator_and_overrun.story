# An operator's entry is replicated; what an operator deletes comes back with its owner; a lost report is made good
# by a dump.
legs 1
macs 2
boot both
until whole 5s
fix 1 3 h2               # an orphan of leaf 1 that never speaks
speak h1
run 100ms
expect place 2 3 peer-link
delete 1 0
run 100ms
speak h1
run 100ms
expect place 1 0 leg:1
overrun 2                # nothing of what follows is reported, until the dump
speak h3
run 100ms
expect place 1 4 peer-link
expect tables
overrun 2
delete 2 4               # nor is this, and the dump does not mention it
run 100ms
expect place 1 4 none
expect tables
