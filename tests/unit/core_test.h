/* SPDX-License-Identifier: ISC */
/*
 * core_test.h - what the tests of the core's machines share: a step at a chosen time, and counting what it
 * did.
 */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/domain.h"

static inline struct mac mac_number(uint64_t n)
{
	return mac_from_u64(0x020000000000u | n);
}

static inline struct domain_config config_for(uint8_t node, const struct mclag_config *mclags, size_t count)
{
	struct domain_config c;

	domain_config_defaults(&c);
	c.domain = 1;
	c.node = node;
	c.boot_id = 1000u + node;
	c.system = mac_number(0xaa);
	c.own_system = mac_number(0xa0u + node);
	c.via = mac_number(0xb0u + node);
	c.path_count = 2;
	c.mclags = mclags;
	c.mclag_count = count;
	return c;
}

static inline size_t count_actions(const struct step *s, enum action_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->action_count; i++)
		n += s->actions[i].kind == kind;
	return n;
}

/* The nth (from 0) action of a kind, or NULL. */
static inline const struct action *nth_action(const struct step *s, enum action_kind kind, size_t nth)
{
	for (size_t i = 0; i < s->action_count; i++) {
		if (s->actions[i].kind == kind && nth-- == 0)
			return &s->actions[i];
	}
	return NULL;
}

static inline size_t count_sent(const struct step *s, enum message_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->action_count; i++)
		n += s->actions[i].kind == ACTION_SEND && s->actions[i].message.kind == kind;
	return n;
}

static inline const struct message *last_sent(const struct step *s, enum message_kind kind)
{
	const struct message *m = NULL;

	for (size_t i = 0; i < s->action_count; i++) {
		if (s->actions[i].kind == ACTION_SEND && s->actions[i].message.kind == kind)
			m = &s->actions[i].message;
	}
	return m;
}

static inline void step_at(struct step *s, int64_t ms)
{
	step_clear(s);
	s->now = (struct msec){ms};
}

#endif
