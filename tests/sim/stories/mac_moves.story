# A MAC moves between legs and orphans: its last place wins on both leaves.
legs 2
boot both
until whole 5s
speak h1
run 50ms
expect place 1 0 leg:1
expect place 2 0 leg:1
move 0 h2                # to the other mclag
run 50ms
expect place 1 0 leg:2
expect place 2 0 leg:2
move 0 h3                # behind an orphan port of leaf 1
run 50ms
expect place 1 0 orphan
expect place 2 0 peer-link
move 0 h4                # of leaf 2
run 50ms
expect place 1 0 peer-link
expect place 2 0 orphan
move 0 h1
run 50ms
expect place 1 0 leg:1
expect place 2 0 leg:1
expect tables
