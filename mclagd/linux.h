/* SPDX-License-Identifier: ISC */
/*
 * linux.h - private to linux.c (ports, LACPDUs), linux_open.c, linux_gates.c, linux_counters.c and linux_table.c
 * (the MAC table):
 * the switch that is a Linux bridge. Everybody else sees switch.h only.
 */
#ifndef MCLAGD_LINUX_H
#define MCLAGD_LINUX_H

#include "mclagd/loop.h"
#include "mclagd/switch.h"
#include "netlink/fdb.h"
#include "netlink/isolation.h"
#include "netlink/lacpdu.h"
#include "netlink/link.h"

#define LINUX_WHY_SIZE 256

/* A leg or the peer link: known by name, there or not. */
struct port {
	struct switch_driver *sw;
	const char *name;
	struct place place;
	bool speaks; /* the engine speaks LACP on it */
	bool there;  /* a port of the bridge */
	int ifindex; /* its last, 0 = never seen: what the kernel still says of it is known by it */
	bool told;   /* the two below have been told */
	bool carrier;
	uint32_t speed;
	struct lacpdu_socket *lacpdu; /* NULL while it cannot be open */
	struct lacpdu_handler lacpdu_handler;
	bool mute;                            /* it could not be opened, and that was said */
	struct lacpdu_counters lacpdu_before; /* of the sockets that were closed */
	uint64_t bad_lacpdus[LACPDU_ERROR_COUNT];
	struct isolation_leg gate;         /* what the dataplane does */
	struct isolation_leg wish;         /* what it shall do after the flush */
	bool forward_asked, isolate_asked; /* to be answered at the flush */
};

struct switch_driver {
	struct event_base *base;
	const struct config *config; /* borrowed */
	struct switch_events *events;
	struct links *links;
	struct link_handler link_handler;
	bool synced; /* the first dump of links is complete */
	bool started;
	char link_failure[LINUX_WHY_SIZE]; /* of the last dump of links */
	struct loop_timer *link_retry;
	struct loop_timer_handler link_retry_handler;
	struct loop_timer *retry; /* of what could not be opened: LACPDU sockets, the via */
	struct loop_timer_handler retry_handler;
	struct isolation *isolation;
	struct isolation_handler isolation_handler;
	bool via_missing; /* so control traffic is confined as far as the configuration tells */
	bool gates_asked;
	int bridge; /* ifindex; 0 while there is none */
	struct fdb *fdb;
	struct fdb_handler fdb_handler;
	bool dump_wanted; /* as soon as the writes that wait are done */
	struct loop_timer *dump_retry;
	struct loop_timer_handler dump_retry_handler;
	size_t port_count; /* legs ascending by mclag, the peer link last */
	struct port *ports;
	struct port **by_index; /* those with an ifindex, ascending by it */
	size_t index_count;
};

void linux_event(const struct switch_driver *sw, const struct event *e);
void linux_notice(const struct switch_driver *sw, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* NULL when it is no leg and not the peer link. */
struct port *linux_port_by_index(const struct switch_driver *sw, int ifindex);
struct port *linux_port_by_place(const struct switch_driver *sw, struct place place);
struct port *linux_peer_link(const struct switch_driver *sw);

/* linux_open.c: the steps of switch_open(), in order. Each is 0, or -errno with the reason in why. */
void linux_make_ports(struct switch_driver *sw);
/* Runs the loop until every link has been told once; the handlers are set before. */
int linux_open_links(struct switch_driver *sw, char *why, size_t size);
int linux_open_gates(struct switch_driver *sw, char *why, size_t size);
/* Names the ports that are not there. */
void linux_tell_missing(const struct switch_driver *sw);
/* Before all of them, and without a switch: closes the gates, or keeps those of a former run. */
int linux_guard_gates(const struct config *c, bool resume, char *why, size_t size);
/* The via has come: confines what runs over it; tries again by itself. */
void linux_settle_via(struct switch_driver *sw);

/* linux_gates.c */
int linux_watch_gates(struct switch_driver *sw, char *why, size_t size);
/* What the dataplane does, into each port's gate. */
int linux_read_gates(struct switch_driver *sw, char *why, size_t size);
void linux_ask_gate(struct switch_driver *sw, const struct action *a);
void linux_flush_gates(struct switch_driver *sw);

/* linux_table.c */
int linux_table_open(struct switch_driver *sw, char *why, size_t size);
/* Reads the whole table of the bridge that is there now, behind the writes that wait; tries again by itself.
 */
void linux_table_dump(struct switch_driver *sw);
void linux_table_program(struct switch_driver *sw, const struct program_action *p);
void linux_table_unprogram(struct switch_driver *sw, const struct program_action *p);
void linux_table_flush(struct switch_driver *sw);
void linux_table_close(struct switch_driver *sw);

#endif
