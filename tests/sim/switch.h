/* SPDX-License-Identifier: ISC */
/*
 * switch - one leaf's dataplane as the kernel gives it: a bridge with its table, the two sets, backup ports.
 *
 * It never decides, and it goes on when its daemon is dead. What it does with a frame and an entry follows
 * the measured kernel: learned entries age and are flushed with the carrier; static ones with activity
 * notification do neither, tell when their owner falls silent or speaks, and move with traffic; a leg without
 * carrier hands known unicast to the peer link; what comes from the peer link is not learned, and does not
 * leave by an isolated leg; a leg (or the peer link) that is not forwarding drops before learning.
 */
#ifndef SIM_SWITCH_H
#define SIM_SWITCH_H

#include "sim/queue.h"

#define SIM_LEGS      4
#define SIM_ORPHANS   2 /* per leaf */
#define SIM_PORTS     (1 + SIM_LEGS + SIM_ORPHANS)
#define SIM_PEER_LINK 0 /* port index; legs follow in the order of the configuration, then orphans */

struct sim;

struct port {
	struct place place;
	bool carrier;
	bool forwarding; /* orphans: always */
	bool isolated;
	int refuse_forward, refuse_isolate; /* so many requests will be refused */
};

enum row_kind {
	ROW_NONE,
	ROW_LEARNED,  /* dynamic */
	ROW_WATCHED,  /* static with activity notification */
	ROW_EXTERNAL, /* on the peer link, ours */
	ROW_OPERATOR, /* static, an operator's */
};

struct row {
	enum row_kind kind;
	uint8_t port;
	bool silent; /* ROW_WATCHED: inactive */
	int64_t used;
};

struct fake_switch {
	bool powered;
	struct port ports[SIM_PORTS];
	size_t port_count;
	struct row *rows;     /* by MAC */
	int64_t *seen;        /* by MAC: when its owner last sent into a leg or orphan here; -1 = never */
	uint32_t power;       /* stamp: grows with each power cycle */
	uint32_t table_stamp; /* reports with an older one were lost in an overrun */
	bool overrun;         /* under way: what the table does now is not reported */
	int64_t link_told, table_told; /* reports leave in order, links and tables apart */
};

void switch_init(struct sim *s, int leaf);
void switch_release(struct sim *s, int leaf);
struct port *switch_port(struct sim *s, int leaf, struct place place);
int switch_index(const struct sim *s, int leaf, struct place place);

/* The leaf is switched on: everything closed, nothing known; or off. */
void switch_power(struct sim *s, int leaf, bool on);
/* A daemon that resumes nothing starts: nothing forwards. */
void switch_fail_closed(struct sim *s, int leaf);
/* Sets carrier from the cables and reports what changed. */
void switch_carriers(struct sim *s, int leaf);
/* What a starting daemon is told: links, then the whole table. */
void switch_tell_all(struct sim *s, int leaf);
/* Reports of the table are lost from now on, and those under way; after a while the dump follows. */
void switch_overrun(struct sim *s, int leaf, int64_t lasts);
/* An operator's hand: deletes an entry, or (port >= 0) sets a static one. */
void switch_operator(struct sim *s, int leaf, uint32_t mac, int port);

/* FORWARD, ISOLATE, PROGRAM, UNPROGRAM. */
void switch_perform(struct sim *s, int leaf, const struct action *a);

/* A frame enters by a port. */
void switch_frame(struct sim *s, int leaf, int in, struct frame f);

/* Happenings. */
void switch_report(struct sim *s, const struct happening *h);
void switch_dump(struct sim *s, const struct happening *h);
void switch_age(struct sim *s, const struct happening *h);

#endif
