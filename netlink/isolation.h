/* SPDX-License-Identifier: ISC */
/*
 * isolation - what may pass the bridge: held legs, split horizon, confined control traffic.
 *
 * One bridge-family nftables table, driven through libnftables inside this process:
 *   forwarding  legs, and the peer link, that may carry data. A leg outside it neither receives (its frames
 *               are dropped before the bridge learns from them) nor sends, bridged or from the leaf itself.
 *               Frames the bridge never forwards (link-local group addresses: LACP, LLDP) pass all the same.
 *               The peer link outside it bridges nothing, but the leaf itself may still use it: the session
 *               needs it.
 *   isolated    legs that frames from the peer link may not enter: the split horizon.
 * The table outlives the daemon: a leg held stays held, a leg open stays open. Each change is one transaction,
 * synchronous, some 100 microseconds, and waits for no other part of the kernel.
 *
 * Interfaces are known by name; one that does not exist yet is guarded from its first frame.
 * Functions return 0 or -errno; `err` as in netlink/rtnetlink.h.
 */
#ifndef NETLINK_ISOLATION_H
#define NETLINK_ISOLATION_H

#include <event2/event.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISOLATION_LEGS_MAX      4096
#define ISOLATION_ADDRESSES_MAX 16

struct isolation;

struct isolation_address {
	bool v6;
	uint8_t bytes[16]; /* network order; the first four for IPv4 */
};

/*
 * Control traffic when the session's L3 interface is the bridge itself or a VLAN of it: it leaves only by the
 * peer link, is taken only from there, and is never bridged for anybody else.
 */
struct isolation_control {
	bool confine;            /* false: nothing of this struct is looked at */
	uint16_t session_port;   /* TCP */
	uint16_t keepalive_port; /* UDP */
	struct isolation_address own[ISOLATION_ADDRESSES_MAX]; /* of that interface, at least one */
	size_t own_count;
	struct isolation_address peer[ISOLATION_ADDRESSES_MAX]; /* the peer's, as far as known */
	size_t peer_count;
	bool discovery; /* the two below hold */
	struct isolation_address discovery_group;
	uint16_t discovery_port; /* UDP */
};

struct isolation_config {
	const char *table;       /* name of the nftables table */
	const char *peer_link;   /* interface name */
	const char *const *legs; /* interface names, no two alike, none the peer link */
	size_t leg_count;
	bool adopt; /* keep what a table that is there says of these legs and the peer link */
	struct isolation_control control;
};

struct isolation_leg {
	char ifname[IFNAMSIZ];
	bool forwarding;
	bool isolated; /* false for the peer link */
};

/*
 * Make the table. Without adopt, or when there was none: nothing forwards (fail closed), nothing is isolated.
 * With adopt: legs keep their place without a frame lost, rules are replaced in one transaction. The config
 * is copied. To change the configuration at run time open again with adopt, then close the old one.
 */
int isolation_open(struct isolation **, const struct isolation_config *, char *err, size_t errlen);

/*
 * For the time before isolation_open(), when the control traffic is not known yet. Without adopt, or when
 * there is no table: one in which nothing forwards. With adopt a table that is there stays as it is, only
 * legs it does not know are held from now on.
 */
int isolation_guard(const struct isolation_config *, char *err, size_t errlen);
void isolation_close(struct isolation *); /* the table stays */
/* Delete the table; all may pass, and nobody watches any more. 0 when gone. */
int isolation_remove(struct isolation *, char *err, size_t errlen);

/* True when isolation_open kept what an earlier table said. */
bool isolation_was_adopted(const struct isolation *);

/*
 * Read back from the kernel: one row per configured leg, in that order, the peer link last. `rows` has
 * place for leg_count + 1. -ENOENT when somebody deleted the table: nothing is held then; watch it, or open again.
 */
int isolation_adopted(struct isolation *, struct isolation_leg *rows, char *err, size_t errlen);

/* One change in one transaction. What is so already is no error. -ENODEV: not a configured leg (or peer
 * link). */
int isolation_forward(struct isolation *, const char *ifname, bool forward, char *err, size_t errlen);
int isolation_isolate(struct isolation *, const char *ifname, bool isolate, char *err, size_t errlen);

/* Several legs in one transaction, all or none: each row says what is to be. */
int isolation_set(struct isolation *, const struct isolation_leg *rows, size_t count, char *err,
		  size_t errlen);

/* --- others touch the table ---------------------------------------------------------------------- */

struct isolation_handler {
	/* Somebody had changed the table or taken it away; it is as it is to be again. */
	void (*repaired)(struct isolation_handler *);
	/* It cannot be read or made, and may let anything pass; tried again from the loop. */
	void (*failed)(struct isolation_handler *, int error, const char *text);
};

struct isolation_counters {
	uint64_t looks;    /* the table was read back, because it was changed: by us or by others */
	uint64_t repairs;  /* it was made again */
	uint64_t failures; /* it could not be made again */
	uint64_t overruns; /* of the socket that tells of changes */
};

/*
 * From now on the table is made again, in one transaction, as soon as somebody else changes or deletes it, or
 * when a change of ours finds that it is gone. The handler outlives the object or isolation_remove().
 */
int isolation_watch(struct isolation *, struct event_base *, struct isolation_handler *, char *err,
		    size_t errlen);
struct isolation_counters isolation_counters(const struct isolation *);

#endif
