/* SPDX-License-Identifier: ISC */
/*
 * proto/wire.h - each message kind between protobuf-c's form and ours. Private to message.c.
 *
 * What it is: per kind the rules of peer.proto and the two translations. What it is not: it neither packs nor
 * unpacks bytes, and it does not know which kind a message may be followed by.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "proto/message.h"

#include "peer.pb-c.h"

typedef Mclag__Peer__PeerMessage peer_message;

/* A message as protobuf-c packs it, built from ours: `top` points to one of the bodies. */
struct wire {
	peer_message top;
	union {
		Mclag__Peer__Hello hello;
		Mclag__Peer__LegState leg_state;
		Mclag__Peer__LegRequest leg_request;
		Mclag__Peer__LegGrant leg_grant;
		Mclag__Peer__TableBegin table_begin;
		Mclag__Peer__Entries entries;
		Mclag__Peer__TableEnd table_end;
		Mclag__Peer__TableAck table_ack;
		Mclag__Peer__Update update;
		Mclag__Peer__Digest digest;
		Mclag__Peer__Goodbye goodbye;
	};
	Mclag__Peer__LacpInfo actor, partner; /* LegState */
	Mclag__Peer__MacEntry *macs;          /* Entries, Update: owned */
	Mclag__Peer__MacEntry **mac_pointers; /* owned */
};

/* Where a rule is checked, and where the reason goes when it is broken. */
struct spot {
	const char *message;
	const size_t *entry; /* index into the entries, or NULL */
	char *why;           /* MESSAGE_WHY_SIZE bytes */
};

/* One kind. */
struct wire_kind {
	/* The rules of peer.proto: 0, or -EBADMSG with the reason written. */
	int (*check)(const peer_message *p, const struct spot *at);
	/* To our form, after check: cannot fail. Fills the kind's member of *m; entries are allocated. */
	void (*get)(const peer_message *p, struct message *m);
	/* From our form: fills the kind's body in *w and points w->top to it. */
	void (*put)(const struct message *m, struct wire *w);
	/* Same content, as far as the wire carries it. */
	bool (*equal)(const struct message *a, const struct message *b);
};

extern const struct wire_kind wire_kinds[MESSAGE_KIND_COUNT];

/* A keepalive's payload, under the same rules both ways: 0, or wire_refuse(). Get leaves *b untouched then. */
int wire_get_beacon(const Mclag__Peer__Beacon *w, struct beacon *b, const struct spot *at);
int wire_put_beacon(const struct beacon *b, Mclag__Peer__Beacon *w, const struct spot *at);

/* Writes the reason; returns -EBADMSG. */
int wire_refuse(const struct spot *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory is fatal. */
void *wire_malloc(size_t size);

#endif
