/* SPDX-License-Identifier: ISC */
/*
 * link - the interfaces of this leaf: what they are, whether they are up, how the bridge treats them.
 *
 * Keeps the last state of every interface, tells each change once with the whole state, and tells what went.
 * After a receive overrun it dumps by itself and tells the difference. It decides nothing.
 * Rules for callers, errors and `err` as in netlink/rtnetlink.h.
 */
#ifndef NETLINK_LINK_H
#define NETLINK_LINK_H

#include "netlink/rtnetlink.h"
#include <net/if.h>

#define LINK_KIND_SIZE 16
#define LINK_MAX       16384 /* interfaces kept; more are counted and not told */

enum link_duplex {
	LINK_DUPLEX_UNKNOWN,
	LINK_DUPLEX_HALF,
	LINK_DUPLEX_FULL,
};

/* How a bridge treats one of its ports. */
struct link_port {
	uint8_t state;   /* 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking */
	bool learning;   /* source addresses are learned */
	bool isolated;   /* kernel's port isolation */
	int backup_port; /* ifindex unicast goes to while the port has no carrier; 0 = none */
};

struct link {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[LINK_KIND_SIZE]; /* "veth", "bond", "team", "bridge", "vlan", ...; "" for a plain device */
	int master;                /* ifindex of the bridge, bond or team it belongs to; 0 = none */
	int lower;      /* ifindex of the device a vlan or macvlan stands on; 0 = none or elsewhere */
	uint8_t mac[6]; /* zero when it has none of six bytes */
	uint32_t mtu;
	bool admin_up;     /* IFF_UP */
	bool carrier;      /* IFF_LOWER_UP: up, and the line is there */
	uint8_t operstate; /* IF_OPER_*, RFC 2863 */
	bool is_port;      /* of a bridge: `port` holds */
	struct link_port port;
	bool vlan_filtering;     /* of a bridge */
	uint32_t ageing_ms;      /* of a bridge: FDB ageing time; 0 = not a bridge, or never */
	uint16_t vlan;           /* of a vlan interface: its id; 0 = not one */
	uint32_t speed;          /* Mbit/s as ethtool tells it while there is carrier; 0 = unknown */
	enum link_duplex duplex; /* likewise */
};

/* One message of the kernel, cleanly cut. What a message does not carry is zero here, and its bit is clear.
 */
enum link_has {
	LINK_HAS_KIND =
	    1 << 0, /* kind, master, lower, vlan, vlan_filtering, ageing_ms: a full (AF_UNSPEC) message */
	LINK_HAS_PORT = 1 << 1, /* port, master */
	LINK_HAS_MAC = 1 << 2,
	LINK_HAS_MTU = 1 << 3,
	LINK_HAS_OPERSTATE = 1 << 4,
};
struct link_message {
	bool gone;        /* the interface is no more */
	uint32_t has;     /* enum link_has */
	struct link link; /* speed and duplex are never in a message */
};

/*
 * Pure: cut one message (`length` bytes at `message`, untrusted) into `out`. 0, -EBADMSG for bytes that are
 * no link message (out untouched), -ENOMSG for a well-formed message of another type or family.
 */
int link_parse(const void *message, size_t length, struct link_message *out);

struct links;

struct link_handler {
	void (*changed)(struct link_handler *, const struct link *); /* new or different in any member */
	void (*gone)(struct link_handler *, const struct link *);    /* its last state */
	/* A dump is complete: `changed` was told for all there is. First after open, again after each
	 * overrun. */
	void (*synced)(struct link_handler *);
	/* A dump failed and is asked again by link_dump() only. */
	void (*failed)(struct link_handler *, int error, const char *text);
	void (*overrun)(struct link_handler *); /* for the log: the dump is already under way */
};

struct link_counters {
	uint64_t messages, overruns, restarts;
	uint64_t malformed; /* messages link_parse refused */
	uint64_t excess;    /* interfaces past LINK_MAX */
};

/* receive_buffer: bytes, 0 = 8 MiB. Starts the first dump; everything is told from the loop. */
int link_open(struct links **, struct event_base *, int receive_buffer, struct link_handler *, char *err,
	      size_t errlen);
void link_close(struct links *);
int link_dump(struct links *, char *err, size_t errlen); /* compare with the kernel now; `synced` follows */

/* Last told state, or NULL. Valid until the loop runs again. */
const struct link *link_by_index(const struct links *, int ifindex);
const struct link *link_by_name(const struct links *, const char *name);
struct link_counters link_counters(const struct links *);

/* --- setters: done when they return ---------------------------------------------------------- */

int link_set_learning(struct links *, int port, bool learning, char *err, size_t errlen);
int link_set_backup_port(struct links *, int port, int backup, char *err,
			 size_t errlen); /* backup 0 = none */

/*
 * Bridge-wide: may the bridge learn from link-local frames (01:80:c2:00:00:0x)? They bypass the prerouting
 * hook, so on a held leg an LACPDU's source address would be learned unless this is off.
 */
int link_set_linklocal_learning(struct links *, int bridge, bool learning, char *err, size_t errlen);

#endif
