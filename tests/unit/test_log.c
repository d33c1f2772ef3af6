/* SPDX-License-Identifier: ISC */
/*
 * The log's rate limit, in virtual time, and that nobody outside starts a new line.
 */
#include "mclagd/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int allowed(struct log_limit *limit, int64_t ms, int tries)
{
	int n = 0;
	for (int i = 0; i < tries; i++)
		n += log_allowed(limit, (struct msec){ms});
	return n;
}

static void limited(void **state)
{
	(void)state;
	struct log_limit limit = {0};
	assert_int_equal(allowed(&limit, 1000, 100), 10);
	assert_int_equal(limit.suppressed, 90);
	assert_int_equal(allowed(&limit, 1999, 5), 0);
	assert_int_equal(allowed(&limit, 2000, 5), 1);
	assert_int_equal(allowed(&limit, 2999, 5), 0);
	assert_int_equal(allowed(&limit, 5500, 5), 3);
	assert_int_equal(allowed(&limit, 5999, 5), 0); /* the half second was not lost ... */
	assert_int_equal(allowed(&limit, 6000, 5), 1); /* ... and not given twice */
	assert_int_equal(allowed(&limit, 1000000, 100), 10);
	/* A trickle is never suppressed. */
	for (int64_t ms = 2000000; ms < 3000000; ms += 1000)
		assert_int_equal(allowed(&limit, ms, 1), 1);
}

/* What is written to stderr meanwhile; to be freed. */
static char *captured(void (*say)(const struct log *log))
{
	const struct log log = log_open(CONFIG_LOG_INFO, CONFIG_LOG_STDERR);
	char *text = calloc(1, 4096);
	int saved = dup(STDERR_FILENO), ends[2];
	assert_non_null(text);
	assert_false(log.journal);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	say(&log);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(ends[1]);
	close(saved);
	assert_true(read(ends[0], text, 4095) >= 0);
	close(ends[0]);
	return text;
}

static void say_three(const struct log *log)
{
	log_write(log, CONFIG_LOG_WARNING, "mclag", 7, "one %d", 1);
	log_write(log, CONFIG_LOG_DEBUG, "mclag", 7, "not shown");
	log_write(log, CONFIG_LOG_ERROR, "session", 0, "two\nmclagd: error: forged\x1b[0m");
}

static void say_limited(const struct log *log)
{
	struct log_limit limit = {.suppressed = 4};
	log_limited(log, &limit, (struct msec){5000}, CONFIG_LOG_INFO, "session", "strange %s", "bytes");
	log_limited(log, &limit, (struct msec){5000}, CONFIG_LOG_INFO, "session", "stranger");
}

static void lines(void **state)
{
	(void)state;
	char *text = captured(say_three);
	assert_string_equal(text, "mclagd: warning: mclag: mclag 7: one 1\n"
				  "mclagd: error: session: two?mclagd: error: forged?[0m\n");
	free(text);
	text = captured(say_limited);
	assert_string_equal(text, "mclagd: info: session: strange bytes (4 like it not shown)\n"
				  "mclagd: info: session: stranger\n");
	free(text);
}

static void targets(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_false(log_open(CONFIG_LOG_INFO, CONFIG_LOG_AUTO).journal);
	setenv("JOURNAL_STREAM", "1:2", 1); /* inherited, but stderr is another file */
	assert_false(log_open(CONFIG_LOG_INFO, CONFIG_LOG_AUTO).journal);
	setenv("JOURNAL_STREAM", "rubbish", 1);
	assert_false(log_open(CONFIG_LOG_INFO, CONFIG_LOG_AUTO).journal);
	assert_true(log_open(CONFIG_LOG_INFO, CONFIG_LOG_JOURNAL).journal);
	unsetenv("JOURNAL_STREAM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(limited),
	    cmocka_unit_test(lines),
	    cmocka_unit_test(targets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
