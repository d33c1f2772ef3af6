# What a dead daemon did not see, its successor finds out: a leg cut meanwhile is not taken up.
legs 2
boot both
until whole 5s
kill 1
run 500ms
cut leg 1:1
run 500ms
start 1
run 1s
expect held 1:1
expect forwarding 1:2
expect open 2:1
expect members h1 1
expect undisturbed h2
mend leg 1:1
until whole 10s
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
