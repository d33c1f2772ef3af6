/* SPDX-License-Identifier: ISC */
/*
 * The ring of events: numbers, what falls out, and listeners that come and go while they are told.
 */
#include "mclagd/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct ring *r, int n)
{
	struct trace t = {.room = TRACE_ROLE, .level = TRACE_INFO, .mclag = (uint16_t)n};
	snprintf(t.text, sizeof(t.text), "line %d", n);
	ring_add(r, (struct msec){n * 10}, n * 1000, &t);
}

static void empty(void **state)
{
	(void)state;
	struct ring *r = ring_create(4);
	struct ring_line line;
	uint64_t number = 0;
	assert_false(ring_next(r, &number, &line));
	assert_int_equal(number, 0);
	ring_destroy(r);
	ring_destroy(NULL);
}

static void in_order(void **state)
{
	(void)state;
	struct ring *r = ring_create(4);
	struct ring_line line;
	uint64_t number = 0;
	for (int n = 1; n <= 3; n++)
		add(r, n);
	for (int n = 1; n <= 3; n++) {
		char text[16];
		snprintf(text, sizeof(text), "line %d", n);
		assert_true(ring_next(r, &number, &line));
		assert_int_equal(line.number, n);
		assert_int_equal(number, n + 1);
		assert_int_equal(line.at.ms, n * 10);
		assert_int_equal(line.wall_us, n * 1000);
		assert_int_equal(line.trace.mclag, n);
		assert_string_equal(line.trace.text, text);
	}
	assert_false(ring_next(r, &number, &line));
	assert_int_equal(number, 4); /* goes on where it stopped */
	add(r, 4);
	assert_true(ring_next(r, &number, &line));
	assert_int_equal(line.number, 4);
	ring_destroy(r);
}

/* A reader that was away sees by the gap what it missed. */
static void oldest_go(void **state)
{
	(void)state;
	struct ring *r = ring_create(4);
	struct ring_line line;
	for (int n = 1; n <= 11; n++)
		add(r, n);
	uint64_t number = 2;
	for (uint64_t n = 8; n <= 11; n++) {
		assert_true(ring_next(r, &number, &line));
		assert_int_equal(line.number, n);
		assert_int_equal(line.trace.mclag, n);
	}
	assert_false(ring_next(r, &number, &line));
	number = 100; /* the future */
	assert_false(ring_next(r, &number, &line));
	assert_int_equal(number, 100);
	ring_destroy(r);
}

struct listener {
	struct ring_listener listener;
	struct ring *ring;
	struct ring_listener *remove; /* when told */
	uint64_t last;
	int told;
};

static void added(struct ring_listener *self, const struct ring_line *line)
{
	struct listener *l = (struct listener *)(void *)((char *)self - offsetof(struct listener, listener));
	l->told++;
	l->last = line->number;
	if (l->remove)
		ring_unlisten(l->ring, l->remove);
}

static void listeners(void **state)
{
	(void)state;
	struct ring *r = ring_create(2);
	struct listener l[3];
	for (int i = 0; i < 3; i++) {
		l[i] = (struct listener){.listener = {.added = added}, .ring = r};
		ring_listen(r, &l[i].listener); /* told in the order 2, 1, 0 */
	}
	add(r, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(l[i].told, 1);
		assert_int_equal(l[i].last, 1);
	}
	l[1].remove = &l[1].listener; /* itself */
	add(r, 2);
	l[2].remove = &l[0].listener; /* the one that is told next */
	add(r, 3);
	add(r, 4);
	assert_int_equal(l[0].told, 2);
	assert_int_equal(l[1].told, 2);
	assert_int_equal(l[2].told, 4);
	ring_unlisten(r, &l[1].listener); /* is off already */
	ring_unlisten(r, &l[2].listener);
	add(r, 5);
	assert_int_equal(l[2].told, 4);
	ring_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty),
	    cmocka_unit_test(in_order),
	    cmocka_unit_test(oldest_go),
	    cmocka_unit_test(listeners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
