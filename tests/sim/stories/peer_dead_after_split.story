# Apart without proof of death, by arbitrate: when the primary dies after all, the host moves to the secondary's
# own identity, and the leg that waited opens.
legs 1
boot both
until whole 5s
cut peer-link
run 2s
cut path 1
run 2s
expect verdict 2 split
expect held 2:1
off 1
run 5s
expect forwarding 2:1
expect members h1 1
on 1
mend path 1
mend peer-link
until whole 30s
speak h1
speak h2
speak h3
run 100ms
expect tables
