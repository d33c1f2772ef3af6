# A host stops to speak LACP: both its legs are held after the partner's timeout; it speaks again, they open.
legs 2
boot both
until whole 5s
deaf h1
run 6s
expect held 1:1
expect held 2:1
expect undisturbed h2
hear h1
until whole 40s          # a host that gave up speaks every 30 s
