# The switch refuses to isolate: no grant, no second leg, until it does.
legs 1
boot both
until whole 5s
cut leg 1:1
run 1s
refuse isolate 2:1 3
mend leg 1:1
run 2s
expect members h1 1
until whole 10s
expect isolated 2:1
