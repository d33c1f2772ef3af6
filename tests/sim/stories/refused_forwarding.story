# The switch refuses to open a leg: held by the dataplane, tried again, and the peer lifts isolation meanwhile.
legs 1
boot both
until whole 5s
cut leg 1:1
run 1s
refuse forward 1:1 2
mend leg 1:1
run 1s
expect members h1 1
expect open 2:1
until whole 10s
