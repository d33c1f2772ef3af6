/* SPDX-License-Identifier: ISC */
/*
 * rtnetlink - sockets to the kernel: listen, dump, write.
 *
 * This room sees and sets the Linux kernel. It knows libnl, libnftables and libevent, and no word of the
 * rest of the daemon. This header carries what link.h and fdb.h are built from; the daemon's shell uses
 * those. (It is not called netlink.h because libnl has a <netlink/netlink.h>, which would shadow it or be
 * shadowed.)
 *
 * Everything here runs on one event_base and one thread and never waits: a write is done by the kernel inside
 * send() and answered before it returns. The base must have NETLINK_PRIORITIES priorities
 * (event_base_priority_init), else opening fails with -EINVAL. Callbacks come only from the loop, unless a
 * function says otherwise; a callback must not close the object that called it.
 *
 * Functions return 0 or -errno. `err` is the caller's buffer for the reason as text (the kernel's own words
 * where it gives some); it is written on failure only, always terminated, and may be NULL with size 0.
 */
#ifndef NETLINK_RTNETLINK_H
#define NETLINK_RTNETLINK_H

#include <event2/event.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl_msg; /* libnl's */

/* Event priorities of the daemon: what must never wait, the conversation with the peer, the tables. */
enum netlink_priority {
	NETLINK_PRIORITY_LINK = 0,    /* links, LACPDUs, keepalives */
	NETLINK_PRIORITY_SESSION = 1, /* the peer, the operator */
	NETLINK_PRIORITY_TABLE = 2,   /* forwarding database and the like */
};
#define NETLINK_PRIORITIES 3

/* --- listener: one socket on multicast groups ---------------------------------------------- */

struct netlink_listener;

struct netlink_listener_config {
	int protocol;                   /* NETLINK_ROUTE (0) or another family of netlink */
	unsigned group;                 /* RTNLGRP_* (of NETLINK_ROUTE): what to hear */
	enum netlink_priority priority; /* of its event */
	uint8_t family;     /* only messages of this family (AF_BRIDGE); 0 = all. Filtered in the kernel */
	int receive_buffer; /* bytes; forced past rmem_max where allowed, else what is allowed */
	unsigned budget;    /* messages per turn of the loop, > 0 */
};

struct netlink_listener_handler {
	/* One message from the kernel, whole by its own header; attributes are not checked yet. */
	void (*message)(struct netlink_listener_handler *, const struct nlmsghdr *);
	/*
	 * The socket overflowed: messages are lost, and all that were queued have been thrown away. What the
	 * owner knows is old; it asks for a dump. The socket goes on.
	 */
	void (*overrun)(struct netlink_listener_handler *);
	/* All that could be read in this turn of the loop has been told. May be NULL. */
	void (*turn)(struct netlink_listener_handler *);
};

struct netlink_listener_counters {
	uint64_t messages;  /* handed to the owner */
	uint64_t overruns;  /* times the socket overflowed */
	uint64_t discarded; /* messages thrown away after an overflow, older than the dump that follows */
	uint64_t refused;   /* not from the kernel, truncated, or not a netlink message */
};

int netlink_listener_open(struct netlink_listener **, struct event_base *,
			  const struct netlink_listener_config *, struct netlink_listener_handler *,
			  char *err, size_t errlen);
void netlink_listener_close(struct netlink_listener *);
const struct netlink_listener_counters *netlink_listener_counters(const struct netlink_listener *);

/* The bytes the kernel granted, as SO_RCVBUF tells them (twice what was asked). */
int netlink_listener_receive_buffer(const struct netlink_listener *);

/*
 * While paused, messages wait in the kernel's queue. A dump and its listener are two sockets, so an entry
 * read from a dump could undo a later change; the owner pauses the listener from dump begin to dump end, and
 * what changed meanwhile is applied afterwards.
 */
void netlink_listener_pause(struct netlink_listener *, bool paused);

/* --- dump: one question, many answers ------------------------------------------------------ */

struct netlink_dump;

struct netlink_dump_handler {
	/* The dump starts, or starts again because the table changed under it: forget marks set so far. */
	void (*begin)(struct netlink_dump_handler *);
	void (*message)(struct netlink_dump_handler *, const struct nlmsghdr *);
	/* status 0: everything was told. Below 0: it was not, nothing may be swept; text is never NULL. */
	void (*end)(struct netlink_dump_handler *, int status, const char *text);
};

int netlink_dump_create(struct netlink_dump **, struct event_base *, enum netlink_priority,
			struct netlink_dump_handler *);
void netlink_dump_destroy(struct netlink_dump *);

/*
 * Ask. `request` is copied; its flags and sequence are set here. A dump under way is given up without `end`
 * and the new one takes its place. `begin` comes from inside this call, the rest from the loop.
 */
int netlink_dump_start(struct netlink_dump *, const struct nl_msg *request, char *err, size_t errlen);
bool netlink_dump_running(const struct netlink_dump *);
uint64_t netlink_dump_restarts(const struct netlink_dump *); /* because the kernel said NLM_F_DUMP_INTR */

/* --- writer: requests, one or many per send ------------------------------------------------- */

struct netlink_writer;

#define NETLINK_BATCH_MAX 256 /* messages per send */

struct netlink_answer_handler {
	/* The message `index` of the batch was refused: error is -errno, text is never NULL. */
	void (*refused)(struct netlink_answer_handler *, size_t index, int error, const char *text);
};

int netlink_writer_open(struct netlink_writer **, char *err, size_t errlen);
void netlink_writer_close(struct netlink_writer *);

/* One request, done and answered when it returns. Flags ACK and the sequence are set here. */
int netlink_request(struct netlink_writer *, struct nl_msg *, char *err, size_t errlen);

/*
 * `count` (1..NETLINK_BATCH_MAX) messages laid end to end in `messages`, sent at once; sequence numbers and
 * the ACK flag (on the last only) are set here, in place. Each refused message is told to the handler before
 * this returns. When the answer got lost every message is told as refused with that reason: repeating a write
 * is harmless.
 */
void netlink_batch(struct netlink_writer *, void *messages, size_t length, size_t count,
		   struct netlink_answer_handler *);

/* --- small things shared by the parsers ----------------------------------------------------- */

/* Write into err like snprintf; nothing when errlen is 0. */
void netlink_explain(char *err, size_t errlen, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* An interface name as the kernel takes it, and harmless inside quotes of an nft command. */
bool netlink_ifname_valid(const char *name);

#endif
