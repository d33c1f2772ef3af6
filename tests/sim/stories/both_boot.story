# Both boot together: they prove and open, in seconds. One leg of each kind.
legs 2
static 2
boot both
until whole 4s
expect role 1 primary
expect role 2 secondary
speak h1
speak h2
speak h3
speak h4
run 100ms
expect tables
expect reach h1 h2
expect reach h3 h4
expect reach h4 h1
