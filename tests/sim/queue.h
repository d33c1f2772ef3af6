/* SPDX-License-Identifier: ISC */
/*
 * queue - the simulator's one clock: what happens next, and dice.
 *
 * Happenings come out in order of time, and of putting where the time is equal; so a run depends on nothing
 * but its seed. Time is virtual, in microseconds since the start of the run, and only moves by queue_next().
 * A happening cannot be taken back: it carries the stamp of what it was for, and who receives it ignores a
 * stamp that is no longer his.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "core/step.h"

#define SIM_MS     1000 /* microseconds */
#define SIM_SECOND 1000000

#define HAPPENINGS(X)                                                                                        \
	X(HAPPEN_TIMER, "a daemon's deadline")                                                               \
	X(HAPPEN_KEEPALIVE, "a daemon's next keepalive on a path is due")                                    \
	X(HAPPEN_DATAGRAM, "a keepalive arrives")                                                            \
	X(HAPPEN_DIAL, "node 1 tries to reach the peer")                                                     \
	X(HAPPEN_OPEN, "one end of a connection is open")                                                    \
	X(HAPPEN_DELIVER, "the next frame of a connection reaches its end")                                  \
	X(HAPPEN_HANGUP, "the end of a connection reaches a daemon")                                         \
	X(HAPPEN_ROOM, "the transport tells what it takes")                                                  \
	X(HAPPEN_REPORT, "the switch reports to its daemon")                                                 \
	X(HAPPEN_DUMP, "reports that were lost are made good")                                               \
	X(HAPPEN_AGE, "a switch looks for entries that have aged")                                           \
	X(HAPPEN_FRAME, "a data frame arrives over the peer link")                                           \
	X(HAPPEN_PDU_AT_LEAF, "an LACPDU arrives on a leg")                                                  \
	X(HAPPEN_PDU_AT_HOST, "an LACPDU arrives on a host's port")                                          \
	X(HAPPEN_CARRIER, "a host notices carrier")                                                          \
	X(HAPPEN_HOST_TIMER, "a host's LACP deadline")                                                       \
	X(HAPPEN_TRAFFIC, "a host sends a data frame")                                                       \
	X(HAPPEN_EXIT, "a daemon that was told to stop looks whether it may end")                            \
	X(HAPPEN_START, "a daemon starts")
#define HAPPENING_MEMBER(constant, help) constant,
enum happening_kind { HAPPENINGS(HAPPENING_MEMBER) HAPPENING_COUNT };

/* A keepalive on the wire. */
struct datagram {
	uint64_t boot, echo_boot;
	uint32_t sequence, echo_sequence;
	bool ask; /* answer at once */
	struct beacon beacon;
};

/* A data frame between hosts. MACs by their index in the simulation. */
struct frame {
	uint32_t id;
	uint32_t source, target;
	uint32_t hops;
};

#define FRAME_TO_ALL UINT32_MAX

struct happening {
	enum happening_kind kind;
	int leaf;       /* 0 or 1, where it makes sense */
	int index;      /* path, port, host or connection */
	uint32_t stamp; /* of what it is for */
	union {
		struct datagram datagram;
		struct event report;
		struct lacpdu pdu;
		struct frame frame;
		bool on;
		enum reason reason;
	};
};

struct queue {
	int64_t now;
	uint64_t order;
	struct happening *slots;
	uint32_t *unused;
	size_t slot_room, unused_count;
	struct queue_item {
		int64_t at;
		uint64_t order;
		uint32_t slot;
	} * heap;
	size_t count;
};

void queue_init(struct queue *q);
void queue_release(struct queue *q);
/* at: not before now. */
void queue_put(struct queue *q, int64_t at, const struct happening *h);
/* Moves the clock to the next happening not after `until` and takes it out; or to `until`, and false. */
bool queue_next(struct queue *q, int64_t until, struct happening *h);

/* splitmix64: small, and the same on every machine. */
struct dice {
	uint64_t state;
};

uint64_t dice_roll(struct dice *d);
/* 0 .. n-1, n > 0. */
uint32_t dice_below(struct dice *d, uint32_t n);
/* from .. to. */
int64_t dice_between(struct dice *d, int64_t from, int64_t to);
bool dice_chance(struct dice *d, uint32_t per_million);

#endif
