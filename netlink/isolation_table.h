/* SPDX-License-Identifier: ISC */
/*
 * isolation_table - private to isolation.c and isolation_table.c: the table as the kernel knows it, written
 * and read back as libnftables' text. Functions return 0 or -errno, `err` as in netlink/rtnetlink.h.
 */
#ifndef NETLINK_ISOLATION_TABLE_H
#define NETLINK_ISOLATION_TABLE_H

#include "netlink/isolation.h"
#include "netlink/rtnetlink.h"
#include <stdio.h>

#define TABLE_NAME_SIZE 64

struct nft_ctx;

enum set {
	SET_LEGS,
	SET_FORWARDING,
	SET_ISOLATED,
};
#define SETS 3

struct isolation {
	struct nft_ctx *nft;
	char table[TABLE_NAME_SIZE];
	struct isolation_control control;
	struct isolation_leg *legs; /* in the order of the configuration, then the peer link; what is to be */
	size_t leg_count;           /* without the peer link, which is legs[leg_count] */
	bool adopted;
	/* while it is watched */
	struct isolation_handler *handler;
	struct netlink_listener *listener;
	struct netlink_listener_handler heard;
	struct event *again;
	char *rules;    /* everything but the elements, as the kernel told it when we had made it */
	bool suspect;   /* somebody touched the table since it was last looked at */
	unsigned burst; /* repairs since `again` was due */
	struct isolation_counters counters;
};

/* What a look at the kernel's table tells. */
struct table_found {
	struct isolation_leg *rows; /* by leg, the peer link last; the caller's, zeroed */
	bool odd;                   /* something not of our shape */
	size_t strangers;           /* elements that do not belong */
	size_t members;             /* of the set of legs, of those that belong */
	char *rules;                /* everything but the elements; the caller frees it */
};

extern const char *const table_set_names[SETS];

bool table_in_set(const struct isolation *i, enum set set, size_t leg);
/* Row of a name; leg_count for the peer link, leg_count + 1 for none. */
size_t table_leg(const struct isolation *i, const char *ifname);

/* A script: commands written to `out`, run as one transaction. */
struct script {
	FILE *out;
	char *text;
	size_t size;
};
void script_begin(struct script *s);
int script_run(struct script *s, const struct isolation *i, char *err, size_t errlen); /* and free it */
/* The whole table as i->legs say, or its sets only with the legs known and nothing else said. */
void script_table(FILE *out, const struct isolation *i);
void script_legs(FILE *out, const struct isolation *i);
void script_flush(FILE *out, const struct isolation *i); /* the rules of the chains */

int table_run(const struct isolation *i, const char *script, char *err, size_t errlen);
int table_replace(const struct isolation *i, char *err, size_t errlen);
/* Does the table exist? 1, 0, or -errno. */
int table_exists(const struct isolation *i, char *err, size_t errlen);
/* `stale`: where commands go that take out what does not belong; NULL: not wanted. */
int table_read(const struct isolation *i, struct table_found *found, FILE *stale, char *err, size_t errlen);

#endif
