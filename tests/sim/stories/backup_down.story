# The backup path goes: an alarm, and nothing else.
legs 2
boot both
until whole 5s
flow h3 h4
cut path 1
run 5s
mend path 1
until whole 2s
outage 1ms
expect undisturbed h1
expect undisturbed h2
