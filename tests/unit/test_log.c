/* SPDX-License-Identifier: ISC */
/*
 * The log and the service manager: the rate limit, in virtual time; that nobody outside starts a new line;
 * and that a journald or a service manager that does not read stops nobody.
 */
#include "mclagd/log.h"
#include "mclagd/service.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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
static char *captured(void (*say)(struct log *log))
{
	struct log log;
	log_open(&log, CONFIG_LOG_INFO, CONFIG_LOG_STDERR);
	char *text = calloc(1, 4096);
	int saved = dup(STDERR_FILENO), ends[2];
	assert_non_null(text);
	assert_int_equal(log.journal, -1);
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

static void say_three(struct log *log)
{
	log_write(log, CONFIG_LOG_WARNING, "mclag", 7, "one %d", 1);
	log_write(log, CONFIG_LOG_DEBUG, "mclag", 7, "not shown");
	log_write(log, CONFIG_LOG_ERROR, "session", 0, "two\nmclagd: error: forged\x1b[0m");
}

static void say_limited(struct log *log)
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

/* A journald of our own, in a mount namespace of our own. */
static int listen_as_journald(void)
{
	const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
	if (geteuid() != 0)
		skip();
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	assert_int_equal(mkdir("/run/systemd", 0700), 0);
	assert_int_equal(mkdir("/run/systemd/journal", 0700), 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void expect_record(int fd, const char *text)
{
	char record[2048];
	ssize_t n = recv(fd, record, sizeof(record) - 1, 0);
	assert_true(n > 0);
	record[n] = 0;
	assert_string_equal(record, text);
}

static void journal(void **state)
{
	(void)state;
	int fd = listen_as_journald();
	struct log log;
	char record[2048], text[256];
	log_open(&log, CONFIG_LOG_INFO, CONFIG_LOG_JOURNAL);
	assert_true(log.journal >= 0);
	log_write(&log, CONFIG_LOG_WARNING, "mclag", 7, "one\nPRIORITY=0");
	expect_record(
	    fd, "MESSAGE=mclag: one?PRIORITY=0\nPRIORITY=4\nSYSLOG_IDENTIFIER=mclagd\nROOM=mclag\nMCLAG=7\n");
	log_write(&log, CONFIG_LOG_INFO, "session", 0, "two");
	expect_record(fd, "MESSAGE=session: two\nPRIORITY=6\nSYSLOG_IDENTIFIER=mclagd\nROOM=session\n");
	/* It does not read: nobody waits for it, and what it missed is counted. */
	int written = 0, read = 0;
	for (; written < 100000 && log.lost < 3; written++)
		log_write(&log, CONFIG_LOG_INFO, "session", 0, "line");
	assert_int_equal(log.lost, 3);
	while (recv(fd, record, sizeof(record), 0) > 0)
		read++;
	assert_int_equal(read, written - 3);
	log_write(&log, CONFIG_LOG_INFO, "session", 0, "again");
	snprintf(text, sizeof(text),
		 "MESSAGE=session: again (3 lines before it are lost)\nPRIORITY=6\n"
		 "SYSLOG_IDENTIFIER=mclagd\nROOM=session\n");
	expect_record(fd, text);
	assert_int_equal(log.lost, 0);
	log_close(&log);
	assert_int_equal(log.journal, -1);
	close(fd);
}

static bool goes_to_journal(enum config_log_target target)
{
	struct log log;
	log_open(&log, CONFIG_LOG_INFO, target);
	bool journal = log.journal >= 0;
	log_close(&log);
	return journal;
}

static void targets(void **state)
{
	(void)state;
	int fd = listen_as_journald();
	char stream[64];
	struct stat st;
	unsetenv("JOURNAL_STREAM");
	assert_false(goes_to_journal(CONFIG_LOG_AUTO));
	assert_false(goes_to_journal(CONFIG_LOG_STDERR));
	assert_true(goes_to_journal(CONFIG_LOG_JOURNAL));
	setenv("JOURNAL_STREAM", "1:2", 1); /* inherited, but stderr is another file */
	assert_false(goes_to_journal(CONFIG_LOG_AUTO));
	setenv("JOURNAL_STREAM", "rubbish", 1);
	assert_false(goes_to_journal(CONFIG_LOG_AUTO));
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_true(goes_to_journal(CONFIG_LOG_AUTO));
	assert_false(goes_to_journal(CONFIG_LOG_STDERR));
	close(fd);
	unlink("/run/systemd/journal/socket"); /* no journald: better stderr than nothing */
	assert_false(goes_to_journal(CONFIG_LOG_AUTO));
	unsetenv("JOURNAL_STREAM");
}

/* --- the service manager ------------------------------------------------------------------------------ */

static int listen_as_manager(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void notified(void **state)
{
	(void)state;
	char dir[] = "/tmp/test_log.XXXXXX", file[64], record[64];
	unsetenv("NOTIFY_SOCKET");
	assert_true(service_notify("READY=1")); /* nobody asked */
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_true(service_notify("READY=1"));
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/notify", dir);
	int fd = listen_as_manager(file);
	assert_true(service_notify("STATUS=%d of %d", 1, 2));
	expect_record(fd, "STATUS=1 of 2");
	/* It does not read: nobody waits for it. */
	int taken = 0;
	while (taken < 100000 && service_notify("WATCHDOG=1"))
		taken++;
	assert_in_range(taken, 1, 99999);
	while (recv(fd, record, sizeof(record), 0) > 0)
		taken--;
	assert_int_equal(taken, 0);
	assert_true(service_notify("READY=1"));
	close(fd);
	assert_false(service_notify("READY=1")); /* it is restarting */
	unlink(file);
	rmdir(dir);
	snprintf(file, sizeof(file), "@test_log.%d", (int)getpid());
	fd = listen_as_manager(file);
	assert_true(service_notify("READY=1"));
	expect_record(fd, "READY=1");
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}

static void watchdog(void **state)
{
	(void)state;
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(service_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "5000000", 1);
	assert_int_equal(service_watchdog_ms(), 5000);
	setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
	assert_int_equal(service_watchdog_ms(), 0);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(service_watchdog_ms(), 5000);
	setenv("WATCHDOG_USEC", "rubbish", 1);
	assert_int_equal(service_watchdog_ms(), 0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(limited), cmocka_unit_test(lines),    cmocka_unit_test(journal),
	    cmocka_unit_test(targets), cmocka_unit_test(notified), cmocka_unit_test(watchdog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
