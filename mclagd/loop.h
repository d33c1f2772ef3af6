/* SPDX-License-Identifier: ISC */
/*
 * loop.h - the shell's window on libevent: the base, timers and signals. Nothing else of the shell includes
 * libevent's headers, which have a struct event of their own.
 *
 * Priorities: whatever is active at a lower number runs first, always, so that no work starves a keepalive.
 * Callbacks come from loop_run() only. Out of memory is fatal.
 */
#ifndef MCLAGD_LOOP_H
#define MCLAGD_LOOP_H

#include <stdint.h>

struct event_base;
struct loop_timer;
struct loop_signal;

enum loop_priority {
	LOOP_URGENT, /* keepalives, LACP, links, deadlines of the core */
	LOOP_PEER,   /* the session, the control socket */
	LOOP_TABLE,  /* tables, and work that is left over */
};

struct event_base *loop_create(void);
void loop_destroy(struct event_base *base);
/* Until loop_exit(). 0 or -EIO. */
int loop_run(struct event_base *base);
/* One turn: waits for at least one event, runs what is active. 0, or -EIO when there is nothing to wait for.
 */
int loop_turn(struct event_base *base);
/* Ends loop_run() after the callback that calls it. */
void loop_exit(struct event_base *base);

/* Embedded by the owner. */
struct loop_timer_handler {
	void (*due)(struct loop_timer_handler *self);
};

struct loop_timer *loop_timer_create(struct event_base *base, enum loop_priority priority,
				     struct loop_timer_handler *handler);
void loop_timer_destroy(struct loop_timer *t); /* takes NULL */
/* Once, after ms (0 = in the next turn of the loop); what was set before is forgotten. */
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t);

/* Embedded by the owner. */
struct loop_signal_handler {
	void (*caught)(struct loop_signal_handler *self, int number);
};

struct loop_signal *loop_signal_create(struct event_base *base, int number,
				       struct loop_signal_handler *handler);
void loop_signal_destroy(struct loop_signal *s); /* takes NULL */

#endif
