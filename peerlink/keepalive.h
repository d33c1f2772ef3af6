/* SPDX-License-Identifier: ISC */
/*
 * Keepalives: one stream of small signed UDP datagrams per path, sent on a schedule without drift.
 *
 * It reports what was heard and lets its owner decide what silence means: there is no timeout here. A
 * datagram counts only when it is signed with the pair's secret, belongs to this path, and is new: its
 * sequence grows, and a boot id not known on the path must first echo a sequence of ours sent after the last
 * word of the boot id before it (a challenge is sent at once, so this costs one round trip). So neither an
 * old recording nor a datagram carried over from another path makes a peer look alive.
 *
 * A path without a remote address finds the peer by link-local IPv6 multicast (KEEPALIVE_GROUP) on its
 * interface, then talks unicast, with a slow multicast beside it so that a peer with a new address is found
 * again.
 *
 * Callbacks come from the event loop only. Its events have priority 0, the highest: the base should have at
 * least two (event_base_priority_init). What is read per second is capped, so that a flood cannot starve the
 * rest.
 */
#ifndef PEERLINK_KEEPALIVE_H
#define PEERLINK_KEEPALIVE_H

#include "peerlink/datagram.h"
#include "peerlink/path.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEEPALIVE_GROUP           "ff02::4d4c:4147"
#define KEEPALIVE_INTERVAL_MIN_MS 10
#define KEEPALIVE_INTERVAL_MAX_MS 10000
#define KEEPALIVE_LATE_BUCKETS    8 /* below 1, 2, 5, 10, 20, 50, 100 ms, and the rest */

struct event_base;
struct keepalive;

/* What one fresh datagram says. Lives for the call. */
struct keepalive_heard {
	uint8_t node;   /* the sender's */
	uint64_t boot;  /* the sender's */
	bool restarted; /* first word of this boot id on this path */
	bool hears_us;  /* it echoes a recent datagram of ours, sent `age_us` ago */
	int64_t age_us; /* -1 unless hears_us */
	int64_t rtt_us; /* round trip, without the time it lay at the peer; -1 unless hears_us */
	const uint8_t *payload;
	size_t payload_len;
};

/* Embedded by the owner, who gets at its own struct by container_of. All three are required. */
struct keepalive_owner {
	void (*heard)(struct keepalive_owner *owner, int path, const struct keepalive_heard *heard);
	/* A live peer, proven fresh like any other, that has our own node number. */
	void (*conflict)(struct keepalive_owner *owner, int path, const struct keepalive_heard *heard);
	/* The peer's address on a path without a configured one: found, or changed. Comes before its `heard`.
	 */
	void (*discovered)(struct keepalive_owner *owner, int path, const struct sockaddr_storage *remote);
};

struct keepalive_config {
	uint8_t node;             /* 1 or 2 */
	uint64_t boot;            /* ours: random, not 0, never used for another keepalive_create */
	struct secret secret;     /* copied */
	const struct path *paths; /* copied; same order on both leaves */
	size_t path_count;        /* 1..PATH_MAX_COUNT */
	unsigned interval_ms[PATH_MAX_COUNT]; /* KEEPALIVE_INTERVAL_MIN_MS..MAX_MS, per path */
	struct keepalive_owner *owner;
};

/* Counts are monotonic since keepalive_create; times in us. */
struct keepalive_stats {
	uint64_t sent, send_errors;
	uint64_t heard;                         /* fresh datagrams */
	uint64_t lost;                          /* gaps in the peer's sequence */
	uint64_t dropped[KEEPALIVE_DROP_COUNT]; /* by reason */
	uint64_t throttled;                     /* times reading was paused under a flood */
	uint64_t late[KEEPALIVE_LATE_BUCKETS];  /* scheduled sends by lateness */
	uint64_t missed;                /* scheduled sends that were a whole interval late, not made up for */
	int64_t rtt_us, jitter_us;      /* smoothed by 1/8 and 1/16 (RFC 3550); -1 before the first */
	bool known;                     /* the peer's address is */
	struct sockaddr_storage remote; /* this, with the port */
	int error; /* errno of the last failed open or send; 0 when the last one worked */
};

/* Never fails: a socket that cannot be opened yet is tried again, and the statistics show its error. */
struct keepalive *keepalive_create(struct event_base *base, const struct keepalive_config *config);

/* Takes NULL. Not from inside a callback. */
void keepalive_destroy(struct keepalive *k);

/* What every datagram carries from now on; at most KEEPALIVE_PAYLOAD_MAX bytes, copied. */
void keepalive_set_payload(struct keepalive *k, const uint8_t *payload, size_t len);

/* Send now, asking for an answer at once. */
void keepalive_probe(struct keepalive *k, int path);

/* Send now on every path, outside the schedule (a changed payload that cannot wait, a goodbye). */
void keepalive_send_now(struct keepalive *k);

void keepalive_stats(const struct keepalive *k, int path, struct keepalive_stats *stats);

#endif
