/* SPDX-License-Identifier: ISC */
/*
 * A thin layer: each object is one libevent event and its owner's handler. The base is made with the precise
 * timer, because a keepalive every 10 ms leaves no room for the coarse clock's 4 ms ticks.
 */
#include "mclagd/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#define PRIORITIES (LOOP_TABLE + 1)
#define TIMER_MAX  86400000 /* a day; who waits longer sets it again */

struct loop_timer {
	struct event *event;
	struct loop_timer_handler *handler;
};

struct loop_signal {
	struct event *event;
	struct loop_signal_handler *handler;
};

static void *new (size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		abort();
	return p;
}

struct event_base *loop_create(void)
{
	struct event_config *config = event_config_new();
	if (!config || event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER))
		abort();
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	if (!base || event_base_priority_init(base, PRIORITIES))
		abort();
	return base;
}

void loop_destroy(struct event_base *base)
{
	if (base)
		event_base_free(base);
}

int loop_run(struct event_base *base)
{
	return event_base_dispatch(base) < 0 ? -EIO : 0;
}

int loop_turn(struct event_base *base)
{
	return event_base_loop(base, EVLOOP_ONCE) != 0 ? -EIO : 0;
}

void loop_exit(struct event_base *base)
{
	event_base_loopbreak(base);
}

static void timer_due(evutil_socket_t fd, short what, void *argument)
{
	struct loop_timer *t = argument;
	(void)fd;
	(void)what;
	t->handler->due(t->handler);
}

struct loop_timer *loop_timer_create(struct event_base *base, enum loop_priority priority,
				     struct loop_timer_handler *handler)
{
	struct loop_timer *t = new (sizeof(*t));
	t->handler = handler;
	t->event = evtimer_new(base, timer_due, t);
	if (!t->event || event_priority_set(t->event, (int)priority))
		abort();
	return t;
}

void loop_timer_destroy(struct loop_timer *t)
{
	if (!t)
		return;
	event_free(t->event);
	free(t);
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
	if (ms > TIMER_MAX)
		ms = TIMER_MAX;
	if (ms < 0)
		ms = 0;
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	if (event_add(t->event, &tv))
		abort();
}

void loop_timer_stop(struct loop_timer *t)
{
	event_del(t->event);
}

static void signal_caught(evutil_socket_t number, short what, void *argument)
{
	struct loop_signal *s = argument;
	(void)what;
	s->handler->caught(s->handler, (int)number);
}

struct loop_signal *loop_signal_create(struct event_base *base, int number,
				       struct loop_signal_handler *handler)
{
	struct loop_signal *s = new (sizeof(*s));
	s->handler = handler;
	s->event = evsignal_new(base, number, signal_caught, s);
	if (!s->event || event_priority_set(s->event, LOOP_PEER) || event_add(s->event, NULL))
		abort();
	return s;
}

void loop_signal_destroy(struct loop_signal *s)
{
	if (!s)
		return;
	event_free(s->event);
	free(s);
}
