/* SPDX-License-Identifier: ISC */
/*
 * test_fork.c - copies that answer, die, hang, and write without end: the original hears of each once, leaves
 * no process behind, and goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mclagd/fork.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TABLE ((size_t)64 << 20)

struct asker {
	struct fork_owner owner;
	void (*work)(int fd);
	int told;
	size_t size;
	uint8_t first;
	char why[64];
};

static int state_of_ours = 1;

static void think(struct fork_owner *self, int fd)
{
	((struct asker *)self)->work(fd);
}

static void done(struct fork_owner *self, const uint8_t *answer, size_t size, const char *why)
{
	struct asker *a = (struct asker *)self;

	a->told++;
	a->size = size;
	a->first = size > 0 ? answer[0] : 0;
	snprintf(a->why, sizeof(a->why), "%s", why != NULL ? why : "");
}

static void answer_long(int fd)
{
	static uint8_t bytes[300000];

	state_of_ours = 2; /* seen by nobody */
	memset(bytes, 7, sizeof(bytes));
	fork_write(fd, bytes, sizeof(bytes));
}

static void answer_nothing(int fd)
{
	(void)fd;
}

static void die(int fd)
{
	fork_write(fd, (const uint8_t *)"half", 4);
	signal(SIGKILL, SIG_DFL);
	raise(SIGKILL);
}

static void end_badly(int fd)
{
	(void)fd;
	_exit(3);
}

static void hang(int fd)
{
	(void)fd;
	for (;;)
		pause();
}

static void hang_silently(int fd)
{
	close(fd);
	hang(fd);
}

static void flood(int fd)
{
	for (;;)
		fork_write(fd, (const uint8_t *)"0123456789abcdef", 16);
}

static struct asker ask(void (*work)(int fd), int64_t ms)
{
	const struct fork_limits limits = {.ms = ms, .size = 1 << 20};
	struct asker a = {.owner = {think, done}, .work = work};
	struct event_base *base = event_base_new();
	struct fork *f = NULL;

	assert_non_null(base);
	assert_int_equal(event_base_priority_init(base, 3), 0);
	assert_int_equal(fork_start(&f, base, &limits, &a.owner), 0);
	while (a.told == 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(a.told, 1);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(state_of_ours, 1);
	return a;
}

static void answers(void **state)
{
	struct asker a = ask(answer_long, 10000);

	(void)state;
	assert_string_equal(a.why, "");
	assert_int_equal(a.size, 300000);
	assert_int_equal(a.first, 7);
	a = ask(answer_nothing, 10000);
	assert_string_equal(a.why, "");
	assert_int_equal(a.size, 0);
}

static void goes_wrong(void **state)
{
	(void)state;
	assert_string_equal(ask(die, 10000).why, "it died");
	assert_string_equal(ask(end_badly, 10000).why, "it died");
	assert_string_equal(ask(hang, 50).why, "it took too long");
	assert_string_equal(ask(hang_silently, 50).why, "it took too long");
	assert_string_equal(ask(flood, 10000).why, "its answer is too long");
}

static void destroyed_while_thinking(void **state)
{
	const struct fork_limits limits = {.ms = 10000, .size = 10};
	struct asker a = {.owner = {think, done}, .work = hang};
	struct event_base *base = event_base_new();
	struct fork *f = NULL;

	(void)state;
	assert_int_equal(event_base_priority_init(base, 3), 0);
	assert_int_equal(fork_start(&f, base, &limits, &a.owner), 0);
	fork_destroy(f);
	fork_destroy(NULL);
	assert_int_equal(a.told, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	event_base_free(base);
}

/* How long the original stands still, with as much memory as a large table takes. */
static void stands_still(void **state)
{
	const struct fork_limits limits = {.ms = 10000, .size = 10};
	struct asker a = {.owner = {think, done}, .work = answer_nothing};
	struct event_base *base = event_base_new();
	uint8_t *table = malloc(TABLE);
	struct timespec begin, end;
	struct fork *f = NULL;

	(void)state;
	assert_non_null(table);
	memset(table, 1, TABLE);
	assert_int_equal(event_base_priority_init(base, 3), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(fork_start(&f, base, &limits, &a.owner), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	int64_t us = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;

	print_message("%zu MB: fork_start took %lld us\n", TABLE >> 20, (long long)us);
	while (a.told == 0)
		event_base_loop(base, EVLOOP_ONCE);
	free(table);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers),
	    cmocka_unit_test(goes_wrong),
	    cmocka_unit_test(destroyed_while_thinking),
	    cmocka_unit_test(stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
