/* SPDX-License-Identifier: ISC */
/*
 * core/step.c - two growing lists. The buffers live as long as the step, so a settled daemon allocates
 * nothing.
 */
#include "core/step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

TYPES_DEFINE(event_kind, EVENTS, EVENT_KIND_COUNT)
TYPES_DEFINE(sighting, SIGHTINGS, SIGHTING_COUNT)
TYPES_DEFINE(action_kind, ACTIONS, ACTION_KIND_COUNT)
TYPES_DEFINE(trace_room, TRACE_ROOMS, TRACE_ROOM_COUNT)
TYPES_DEFINE(trace_level, TRACE_LEVELS, TRACE_LEVEL_COUNT)

void step_clear(struct step *s)
{
	for (size_t i = 0; i < s->action_count; i++) {
		if (s->actions[i].kind == ACTION_SEND)
			message_clear(&s->actions[i].message);
	}
	s->action_count = 0;
	s->trace_count = 0;
}

void step_release(struct step *s)
{
	step_clear(s);
	free(s->actions);
	free(s->traces);
	memset(s, 0, sizeof *s);
}

struct action *step_action(struct step *s, enum action_kind kind)
{
	struct action *a;

	core_grow((void **)&s->actions, &s->action_room, s->action_count + 1, sizeof *s->actions);
	a = &s->actions[s->action_count++];
	memset(a, 0, sizeof *a);
	a->kind = kind;
	return a;
}

void step_send(struct step *s, const struct message *m)
{
	step_action(s, ACTION_SEND)->message = *m;
}

void step_gate(struct step *s, enum action_kind kind, struct place port, bool on)
{
	struct action *a = step_action(s, kind);

	a->gate.port = port;
	a->gate.on = on;
}

void step_trace(struct step *s, enum trace_room room, enum trace_level level, uint16_t mclag,
		const char *format, ...)
{
	struct trace *t;
	va_list args;

	core_grow((void **)&s->traces, &s->trace_room, s->trace_count + 1, sizeof *s->traces);
	t = &s->traces[s->trace_count++];
	t->room = room;
	t->level = level;
	t->mclag = mclag;
	va_start(args, format);
	vsnprintf(t->text, sizeof t->text, format, args);
	va_end(args);
}
