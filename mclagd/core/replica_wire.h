/* SPDX-License-Identifier: ISC */
/*
 * core/replica_wire.h - between replica.c (what is true here) and replica_wire.c (what the peer is told, and
 * what it told us). Nobody else includes this.
 */
#ifndef CORE_REPLICA_WIRE_H
#define CORE_REPLICA_WIRE_H

#include "core/replica.h"

/* The local claim changed: tell the peer, once, however often it changes before it can be told. */
void replica_enqueue(struct replica *r, struct entry *e);
/* Queues every local claim and opens a new generation. */
void replica_snapshot(struct replica *r, struct step *s);
/* Keep the digest of what the peer told us. */
void replica_count_received(struct replica *r, const struct entry *e);
void replica_forget_received(struct replica *r, const struct entry *e);

/* In replica.c. */
/* Brings switch and table in line with an entry's claims; the entry may be removed. */
void replica_reconcile(struct replica *r, struct step *s, uint32_t slot);
void replica_receive(struct replica *r, struct step *s, const struct mac_entry *m);
void replica_set_peer_via(struct replica *r, struct step *s, struct mac via);
/* The peer's snapshot is whole: what a former run left and nobody claims may go. */
void replica_adopted(struct replica *r);

#endif
