# A leg flaps faster than anyone can look: each return waits for its own grant.
legs 1
boot both
until whole 5s
flow h3 h1
cut leg 1:1
run 1ms
mend leg 1:1
run 1ms
cut leg 1:1
run 30ms
mend leg 1:1
run 60ms
cut leg 1:1
run 500ms
mend leg 1:1
until whole 5s
outage 20ms
