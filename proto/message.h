/* SPDX-License-Identifier: ISC */
/*
 * proto/message.h - the peer messages as the core speaks them, and the trust border.
 *
 * message_decode() is where bytes from the peer become trusted: every length, range, enum and count is
 * checked here, once, with a reason that names field and value. Behind it a bad value cannot exist.
 * peer.proto is the specification of each message; the structs below are its plain C form.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "proto/types.h"

#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1

#define MESSAGE_HELLO_LIMIT 4096  /* bytes of a frame before the Hello is accepted */
#define MESSAGE_LIMIT       65536 /* bytes of a frame afterwards */
#define MESSAGE_ENTRIES_MAX 1024  /* entries in one Entries or Update */
#define MESSAGE_WHY_SIZE    160
#define BEACON_LIMIT        128 /* bytes of a keepalive's payload */
#define RESTART_SECONDS_MAX 600 /* longest restart a Goodbye may announce */

#define MESSAGE_KINDS(X)                                                                                     \
	X(MESSAGE_HELLO, "hello", "who I am")                                                                \
	X(MESSAGE_LEG_STATE, "leg_state", "one of my legs")                                                  \
	X(MESSAGE_LEG_REQUEST, "leg_request", "my leg wants to forward")                                     \
	X(MESSAGE_LEG_GRANT, "leg_grant", "isolation towards your leg is in my dataplane")                   \
	X(MESSAGE_TABLE_BEGIN, "table_begin", "a snapshot starts")                                           \
	X(MESSAGE_ENTRIES, "entries", "a piece of the snapshot")                                             \
	X(MESSAGE_TABLE_END, "table_end", "the snapshot is complete")                                        \
	X(MESSAGE_TABLE_ACK, "table_ack", "your snapshot arrived whole, or not")                             \
	X(MESSAGE_UPDATE, "update", "what changed since")                                                    \
	X(MESSAGE_DIGEST, "digest", "what you should hold of mine by now")                                   \
	X(MESSAGE_GOODBYE, "goodbye", "I leave, and how")
TYPES_DECLARE(message_kind, MESSAGE_KINDS, MESSAGE_KIND_COUNT)

#define TABLES(X) X(TABLE_MAC, "mac", "MAC addresses")
TYPES_DECLARE(table, TABLES, TABLE_COUNT)

struct hello {
	uint32_t version_min, version_max; /* inclusive range of protocol versions the sender speaks */
	uint64_t features;                 /* bits; unknown ones are off */
	uint16_t domain;
	uint8_t node;     /* 1 or 2 */
	uint64_t boot_id; /* random per start of the daemon, not 0 */
	uint64_t epoch;   /* grows at each role change */
	uint16_t priority;
	enum role role; /* last role */
	bool carrying;  /* at least one leg forwards */
	struct mac system;
	uint16_t system_priority;
	struct mac via; /* address of the sender's interface on the peer link; zero = none */
};

struct leg_state {
	uint16_t mclag;
	bool carrier;
	enum leg_phase phase;
	hold_set holds;
	uint32_t speed;                  /* Mbit/s, 0 = unknown */
	struct lacp_info actor, partner; /* all zero where no LACP is spoken or no partner is known */
};

/* LegRequest and LegGrant. */
struct leg_handshake {
	uint16_t mclag;
	uint32_t nonce; /* the grant repeats the request's */
	bool granted;   /* LegGrant only; false = the sender could not isolate */
};

/* One replicated MAC as its sender sees it. */
struct mac_entry {
	struct mac mac;
	uint16_t vlan;
	uint16_t mclag; /* 0 = behind an orphan port of the sender */
	uint32_t moves; /* grows when the owner is seen at another place; the higher count wins */
	bool fixed;     /* configured by an operator: never ages */
	bool gone;      /* the sender no longer sees it (Update only) */
};

/* Entries and Update. */
struct entry_batch {
	enum table table;
	uint32_t generation; /* of the snapshot it belongs to or follows */
	uint32_t count;
	struct mac_entry *entries; /* owned by the message */
};

/* TableBegin (count = expected, digest unused), TableEnd and Digest. */
struct table_mark {
	enum table table;
	uint32_t generation;
	uint32_t count;
	uint64_t digest; /* sum over entries of entry_hash() */
};

struct table_ack {
	enum table table;
	uint32_t generation;
	bool repair; /* counts or digests differed: send a new snapshot */
};

struct goodbye {
	enum reason reason; /* REASON_SHUTDOWN or REASON_RESTART */
	uint32_t seconds;   /* REASON_RESTART: expected back within, 1..600; else 0 */
};

struct message {
	enum message_kind kind;
	union {
		struct hello hello;
		struct leg_state leg_state;
		struct leg_handshake leg;
		struct entry_batch batch;
		struct table_mark mark;
		struct table_ack ack;
		struct goodbye goodbye;
	};
};

/* The payload of a keepalive: what a node must know of its peer even without a session. */
struct beacon {
	uint16_t domain;
	uint64_t epoch;
	enum role role;
	bool carrying;
	enum reason goodbye; /* REASON_NONE, or as in struct goodbye: for paths without the session */
	uint32_t seconds;
};

/* 64-bit hash of an entry's content for multiset digests (sum modulo 2^64); the same on both leaves. */
uint64_t entry_hash(const struct mac_entry *e);

/* Encodes into *bytes (malloc; caller frees). Our own messages keep the rules of peer.proto: asserts. */
void message_encode(const struct message *m, uint8_t **bytes, size_t *size);
/* 0, or -EBADMSG with the reason in why ("leg_state: mclag 70000 is not 1..65535") and *m untouched. The
 * result is released by message_clear(). Unknown fields are ignored; a message kind this version does not
 * know is -ENOMSG with why filled too, to be skipped and counted. */
int message_decode(const uint8_t *bytes, size_t size, struct message *m, char why[static MESSAGE_WHY_SIZE]);
/* A deep copy, released by message_clear(). */
void message_copy(struct message *to, const struct message *from);
/* Releases what the message owns; *m is then a message without content, and may be cleared again. */
void message_clear(struct message *m);
/* Same kind, same content as far as the kind carries it: a LegRequest's `granted` is not looked at. */
bool message_equal(const struct message *a, const struct message *b);

/* Returns the bytes used in buf; asserts the rules of peer.proto. */
size_t beacon_encode(const struct beacon *b, uint8_t buf[static BEACON_LIMIT]);
/* 0, or -EBADMSG with the reason in why and *b untouched. */
int beacon_decode(const uint8_t *bytes, size_t size, struct beacon *b, char why[static MESSAGE_WHY_SIZE]);

#endif
