# The same with on-split: stay. The secondary stays held.
set split stay
legs 1
boot both
until whole 5s
cut peer-link
run 2s
cut path 1
run 10s
expect verdict 2 split
expect forwarding 1:1
expect held 2:1
expect members h1 1
mend path 1
mend peer-link
until whole 15s
expect role 1 primary
