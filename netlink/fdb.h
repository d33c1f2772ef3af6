/* SPDX-License-Identifier: ISC */
/*
 * fdb - a bridge's forwarding database: hear its changes, dump it, write it in batches.
 *
 * Keeps no table: the owner does, and compares it with a dump by mark and sweep. Entries of devices
 * themselves (NTF_SELF) are not entries of the bridge and are never told. Rules for callers, errors and `err`
 * as in netlink/rtnetlink.h.
 */
#ifndef NETLINK_FDB_H
#define NETLINK_FDB_H

#include "netlink/rtnetlink.h"

#define FDB_BATCH     128       /* messages per send: beyond 64 nothing is gained */
#define FDB_QUEUE_MAX (1 << 20) /* writes waiting; more are refused with -ENOBUFS */

enum fdb_state {
	FDB_DYNAMIC, /* learned or made like it: ages, moves, goes with the carrier */
	FDB_STATIC,  /* does not age and stays without carrier; traffic elsewhere still moves it */
	FDB_LOCAL,   /* the bridge's own address ("permanent") */
};

/* Activity notification of a static entry: the bridge tells when its owner falls silent or speaks again. */
enum fdb_activity {
	FDB_ACTIVITY_NONE, /* not asked for */
	FDB_ACTIVITY_ACTIVE,
	FDB_ACTIVITY_INACTIVE, /* silent for the bridge's ageing time */
};

struct fdb_entry {
	int ifindex;   /* the port; the bridge itself for its own addresses */
	int bridge;    /* its bridge; not looked at when writing */
	uint16_t vlan; /* 0 = none */
	uint8_t mac[6];
	enum fdb_state state;
	bool ext_learned; /* put there by a control plane: does not age; lost when traffic moves the entry */
	bool sticky;      /* traffic does not move it */
	enum fdb_activity activity;
};

enum fdb_change {
	FDB_NEW, /* new, moved or otherwise different */
	FDB_GONE,
};

/*
 * Pure: cut one message (`length` bytes at `message`, untrusted). 0, -EBADMSG for bytes that are no FDB
 * message (outputs untouched), -ENOMSG for a well-formed message that is not about an entry of a bridge.
 */
int fdb_parse(const void *message, size_t length, enum fdb_change *change, struct fdb_entry *entry);

struct fdb;

enum fdb_write {
	FDB_ADD,
	FDB_DELETE,
};

struct fdb_handler {
	void (*changed)(struct fdb_handler *, enum fdb_change, const struct fdb_entry *);
	/* Changes were lost; ask for a dump. */
	void (*overrun)(struct fdb_handler *);
	/*
	 * A dump: begin (again when the kernel's table changed under it), each entry, end. After end with
	 * status 0 what was not told since the last begin is gone. `changed` is held back meanwhile and
	 * follows.
	 */
	void (*dump_begin)(struct fdb_handler *);
	void (*dump_entry)(struct fdb_handler *, const struct fdb_entry *);
	void (*dump_end)(struct fdb_handler *, int status, const char *text);
	/*
	 * A write was refused. From the loop, or from inside fdb_flush. error is -errno. It may be queued
	 * again from here; fdb_flush does not wait for that.
	 */
	void (*refused)(struct fdb_handler *, enum fdb_write, const struct fdb_entry *, int error,
			const char *text);
	/* The queue of writes has run empty. From the loop, or from inside fdb_flush. */
	void (*written)(struct fdb_handler *);
};

struct fdb_config {
	int receive_buffer; /* bytes, 0 = 64 MiB: about 160,000 entries */
	unsigned budget;    /* messages per turn of the loop, 0 = 512 */
};

struct fdb_counters {
	uint64_t messages, overruns, discarded, restarts;
	uint64_t malformed; /* messages fdb_parse refused */
	uint64_t adds, deletes, batches;
	uint64_t refused; /* told to the owner */
	uint64_t absent;  /* deletes of what was not there: not told */
	uint64_t excess;  /* writes refused because FDB_QUEUE_MAX were waiting */
};

/* Listens from now on; a dump is the owner's to ask for. */
int fdb_open(struct fdb **, struct event_base *, const struct fdb_config *, struct fdb_handler *, char *err,
	     size_t errlen);
void fdb_close(struct fdb *); /* writes still queued are dropped: flush first */

/* Dump one bridge. One dump at a time: asking again starts over (dump_begin comes from inside this call). */
int fdb_dump(struct fdb *, int bridge, char *err, size_t errlen);

/*
 * Queue a write. Writes are done in order, FDB_BATCH per turn of the loop, so that a large table does not
 * keep anything waiting. An add replaces what is there. Kinds that can be written: dynamic, static, static
 * with activity, each also sticky; ext_learned. -EINVAL for FDB_LOCAL, for activity or sticky on what cannot
 * have it, a multicast or zero address, no port, vlan > 4094. -ENOBUFS when the queue is full.
 */
int fdb_add(struct fdb *, const struct fdb_entry *);
int fdb_delete(struct fdb *, const struct fdb_entry *); /* looks at ifindex, vlan and mac only */

void fdb_flush(struct fdb *);           /* do all queued writes now */
size_t fdb_pending(const struct fdb *); /* writes waiting */
struct fdb_counters fdb_counters(const struct fdb *);

#endif
