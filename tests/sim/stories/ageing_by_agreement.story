# An entry stays on both leaves while either sees its owner, and goes when neither does.
legs 1
set ageing 5s
boot both
until whole 5s
speak h1                 # one flow, so one leaf sees it
run 4s
speak h1
run 4s
expect place 1 0 leg:1
expect place 2 0 leg:1
run 8s
expect place 1 0 none
expect place 2 0 none
expect aged
