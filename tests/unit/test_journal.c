/* SPDX-License-Identifier: ISC */
/*
 * A journal being written: to a real file by a real scribe, up to its bound, on a full disk, with a scribe
 * that is stopped or killed, and by a daemon that crashes.
 */
#include "journal_samples.h"
#include "mclagd/journal.h"
#include "mclagd/replay.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 10
#define MANY       10000000 /* events: more than any bound here allows */

struct rig {
	char dir[64], file[96], old[96];
	struct journal_head head;
	struct journal *journal;
	struct journal_owner owner;
	size_t ended;
	char why[JOURNAL_WHY_SIZE];
	struct domain *domain;
	struct step step;
	size_t events;
};

static void journal_ended(struct journal_owner *owner, const char *why)
{
	struct rig *r = (struct rig *)(void *)((char *)owner - offsetof(struct rig, owner));
	r->ended++;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	assert_non_null(r);
	snprintf(r->dir, sizeof(r->dir), "/tmp/test_journal.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->file, sizeof(r->file), "%s/journal", r->dir);
	snprintf(r->old, sizeof(r->old), "%s/journal.1", r->dir);
	r->owner.ended = journal_ended;
	r->head = sample_head(false);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	journal_close(r->journal);
	domain_destroy(r->domain);
	step_release(&r->step);
	unlink(r->file);
	unlink(r->old);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

/* --- the daemon's part ------------------------------------------------------------------------------- */

static void begin(struct rig *r, uint64_t limit)
{
	char why[JOURNAL_WHY_SIZE] = "";
	if (journal_open(&r->journal, r->file, limit, &r->head, &r->owner, why))
		fail_msg("%s", why);
	domain_destroy(r->domain);
	r->domain = domain_create(&r->head.config, NULL);
	r->events = 0;
}

static void happen(struct rig *r, const struct event *e, struct msec now)
{
	step_clear(&r->step);
	r->step.now = now;
	journal_before(r->journal, now, e);
	domain_step(r->domain, &r->step, e);
	journal_after(r->journal, &r->step);
	journal_flush(r->journal);
	r->events++;
}

/* So many sightings, or until nothing is recorded any more. */
static void sight(struct rig *r, size_t count)
{
	for (size_t i = 0; i < count && !r->ended; i++) {
		struct event e = {.kind = EVENT_ENTRY,
				  .entry = {.mac = mac_from_u64(UINT64_C(0x020000000000) + r->events),
					    .vlan = 10,
					    .place = {.kind = PLACE_LEG, .mclag = 9},
					    .sighting = SIGHTING_LEARNED}};
		happen(r, &e, sample_time(SAMPLE_EVENTS + r->events / 1000));
	}
}

/* The samples, and then so many sightings. */
static void live(struct rig *r, size_t more)
{
	struct event events[SAMPLE_EVENTS];
	size_t count = sample_events(events);
	for (size_t i = 0; i < count; i++)
		happen(r, &events[i], sample_time(i));
	sight(r, more);
}

static void end(struct rig *r)
{
	journal_close(r->journal);
	r->journal = NULL;
}

static off_t size_of(const char *file)
{
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	return st.st_size;
}

/* The result; its last line in r->why. */
static enum replay_result play(struct rig *r, const char *file)
{
	char *text = NULL, why[JOURNAL_WHY_SIZE] = "";
	size_t size;
	FILE *in = fopen(file, "re"), *out = open_memstream(&text, &size);
	assert_true(in && out);
	enum replay_result result = replay(in, SAMPLE_VERSION, out, why);
	fclose(in);
	fclose(out);
	const char *last = text + size;
	for (int lines = 0; last > text && (lines += last[-1] == '\n') < 3;)
		last--;
	snprintf(r->why, sizeof(r->why), "%s%s", last, why);
	free(text);
	return result;
}

static void expect_replay(struct rig *r, const char *file, const char *note, size_t events)
{
	char wanted[128];
	snprintf(wanted, sizeof(wanted), "note: %s\n%zu events, identical\n", note, events);
	enum replay_result result = play(r, file);
	if (result != REPLAY_IDENTICAL || !strstr(r->why, wanted))
		fail_msg("%s was expected, it is %d: %s", wanted, (int)result, r->why);
}

/* Our one child. */
static pid_t scribe_of(void)
{
	char file[64];
	pid_t pid = 0;
	snprintf(file, sizeof(file), "/proc/self/task/%d/children", (int)getpid());
	FILE *f = fopen(file, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

static bool before_deadline(time_t begin)
{
	struct timespec pause = {.tv_nsec = 1000000};
	nanosleep(&pause, NULL);
	return time(NULL) < begin + DEADLINE_S;
}

/* --- tests ------------------------------------------------------------------------------------------- */

static void a_run(void **state)
{
	struct rig *r = *state;
	struct journal_counters c;
	struct stat st;
	begin(r, 16 << 20);
	live(r, 5000);
	journal_counters(r->journal, &c);
	end(r);
	assert_true(c.recording && c.missed == 0 && c.events == r->events);
	assert_int_equal(r->ended, 0);
	expect_replay(r, r->file, "the daemon ended", r->events);
	assert_true((uint64_t)size_of(r->file) > c.bytes && (uint64_t)size_of(r->file) < c.bytes + 64);
	assert_int_equal(stat(r->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access(r->old, F_OK), -1);
}

/* The run before is kept, and the one before that is not. */
static void runs_follow_each_other(void **state)
{
	struct rig *r = *state;
	size_t events[3];
	for (size_t i = 0; i < 3; i++) {
		begin(r, 16 << 20);
		live(r, 10 * i);
		end(r);
		events[i] = r->events;
	}
	expect_replay(r, r->file, "the daemon ended", events[2]);
	expect_replay(r, r->old, "the daemon ended", events[1]);
}

static void the_bound(void **state)
{
	struct rig *r = *state;
	struct journal_counters c;
	begin(r, 64 << 10);
	live(r, MANY);
	assert_int_equal(r->ended, 1);
	assert_non_null(strstr(r->why, "the journal is full: the first "));
	struct event timer = {.kind = EVENT_TIMER};
	happen(r, &timer, r->step.now);
	journal_counters(r->journal, &c);
	assert_true(!c.recording && c.missed >= 1 && c.events + c.missed == r->events);
	assert_int_equal(r->ended, 1);
	end(r);
	assert_true(size_of(r->file) <= 64 << 10 && size_of(r->file) > 63 << 10);
	expect_replay(r, r->file, "the journal has reached its bound", c.events);
}

static void a_full_disk(void **state)
{
	struct rig *r = *state;
	struct journal_counters c;
	struct rlimit was, full = {.rlim_cur = 20000, .rlim_max = RLIM_INFINITY};
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	full.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	begin(r, 1 << 30);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	live(r, MANY);
	assert_int_equal(r->ended, 1);
	assert_string_equal(r->why, "the journal cannot be written: File too large");
	journal_counters(r->journal, &c);
	assert_true(!c.recording && c.events > 0);
	end(r);
	assert_int_equal(size_of(r->file), 20000);
	assert_int_equal(play(r, r->file), REPLAY_IDENTICAL); /* as far as it goes */
	assert_non_null(strstr(r->why, "the journal has no end"));
}

/* Whoever writes to a disk that hangs is not us. */
static void a_disk_that_hangs(void **state)
{
	struct rig *r = *state;
	begin(r, 1 << 30);
	live(r, 0);
	pid_t scribe = scribe_of();
	assert_int_equal(kill(scribe, SIGSTOP), 0);
	sight(r, MANY);
	assert_int_equal(r->ended, 1);
	assert_string_equal(r->why, "the journal is written too slowly");
	assert_int_equal(kill(scribe, SIGCONT), 0);
	end(r);
	assert_int_equal(play(r, r->file), REPLAY_IDENTICAL);
}

static void a_scribe_that_dies(void **state)
{
	struct rig *r = *state;
	begin(r, 1 << 30);
	live(r, 0);
	assert_int_equal(kill(scribe_of(), SIGKILL), 0);
	sight(r, MANY);
	assert_int_equal(r->ended, 1);
	assert_string_equal(r->why, "the journal cannot be written: its process has died");
}

/* A service manager signals all processes of the group. */
static void signals_to_all(void **state)
{
	struct rig *r = *state;
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	begin(r, 1 << 30);
	live(r, 0);
	time_t begun = time(NULL);
	while (size_of(r->file) == 0) /* it writes, so it is past its beginning */
		assert_true(before_deadline(begun));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(kill(scribe_of(), signals[i]), 0);
	sight(r, 1000);
	end(r);
	assert_int_equal(r->ended, 0);
	expect_replay(r, r->file, "the daemon ended", r->events);
}

/* In a child: the event it dies of is in the journal. */
static void a_daemon_that_crashes(void **state)
{
	struct rig *r = *state;
	pid_t daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		struct event e = {.kind = EVENT_CONFLICT};
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		begin(r, 1 << 30);
		live(r, 1000);
		journal_before(r->journal, r->step.now, &e);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	int status;
	assert_int_equal(waitpid(daemon, &status, 0), daemon);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	char wanted[64];
	struct event events[SAMPLE_EVENTS];
	snprintf(wanted, sizeof(wanted), "crashed here\n%zu events, identical\n",
		 sample_events(events) + 1000 + 1);
	time_t begun = time(NULL);
	while (play(r, r->file) != REPLAY_IDENTICAL || !strstr(r->why, wanted))
		if (!before_deadline(begun))
			fail_msg("%s was expected, it is %s", wanted, r->why);
}

static void what_is_no_file(void **state)
{
	struct rig *r = *state;
	char why[JOURNAL_WHY_SIZE], deep[128];
	assert_int_equal(symlink("/dev/null", r->file), 0);
	assert_int_equal(journal_open(&r->journal, r->file, 1 << 20, &r->head, &r->owner, why), -EINVAL);
	assert_non_null(strstr(why, "/journal is no regular file"));
	unlink(r->file);
	assert_int_equal(mkfifo(r->file, 0600), 0);
	assert_int_equal(journal_open(&r->journal, r->file, 1 << 20, &r->head, &r->owner, why), -EINVAL);
	unlink(r->file);
	snprintf(deep, sizeof(deep), "%s/x/journal", r->dir);
	assert_int_equal(journal_open(&r->journal, deep, 1 << 20, &r->head, &r->owner, why), -ENOENT);
	assert_non_null(strstr(why, "/x/journal: No such file or directory"));
	assert_null(r->journal);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    TEST(a_run),          TEST(runs_follow_each_other), TEST(the_bound),
	    TEST(a_full_disk),    TEST(a_disk_that_hangs),      TEST(a_scribe_that_dies),
	    TEST(signals_to_all), TEST(a_daemon_that_crashes),  TEST(what_is_no_file),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
