/* SPDX-License-Identifier: ISC */
/*
 * The file for a restart: what is written is read back, for the same kernel, namespace and pair only;
 * whatever else stands there is refused with its reason, and never believed in part.
 */
#include "mclagd/resume.h"
#include "mclagd/switch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_SIZE 4096

struct fixture {
	char dir[64], file[128];
	struct resume_origin origin;
	struct leg_resume legs[2];
	struct resume resume;
};

static int set_up(void **state)
{
	static const struct fixture blank = {.dir = "/tmp/test_resume.XXXXXX",
					     .origin = {.kernel_boot = "01234567-89ab-cdef-0123-456789abcdef",
							.netns = 0xfedcba9876543210,
							.domain = 7,
							.node = 2,
							.system = {{2, 0, 0, 0, 0, 0xaa}}},
					     .legs = {{.mclag = 1, .isolated = true},
						      {.mclag = 65535,
						       .forwarding = true,
						       .actor_state = 0xff,
						       .partner = {.system_priority = 65535,
								   .system = {{2, 1, 2, 3, 4, 5}},
								   .key = 1,
								   .port_priority = 2,
								   .port = 3,
								   .state = 0x3d}}},
					     .resume = {.verdict = VERDICT_SPLIT,
							.role = ROLE_SECONDARY,
							.epoch = UINT64_MAX - 1,
							.peer_link_open = true,
							.leg_count = 2}};
	struct fixture *f = malloc(sizeof(*f));
	assert_non_null(f);
	*f = blank;
	f->resume.legs = f->legs;
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/" RESUME_FILE, f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char left[160];
	snprintf(left, sizeof(left), "%s.new", f->file);
	assert_int_not_equal(access(left, F_OK), 0); /* no half-written file stays */
	unlink(f->file);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void save(const struct fixture *f)
{
	char why[RESUME_WHY_SIZE] = "";
	if (resume_save(f->dir, &f->origin, &f->resume, why))
		fail_msg("%s", why);
}

static size_t read_file(const struct fixture *f, char text[static TEXT_SIZE])
{
	FILE *file = fopen(f->file, "re");
	assert_non_null(file);
	size_t size = fread(text, 1, TEXT_SIZE - 1, file);
	fclose(file);
	text[size] = 0;
	return size;
}

static void write_file(const struct fixture *f, const char *text, size_t size)
{
	FILE *file = fopen(f->file, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
}

static void expect_refused(const struct fixture *f, int error, const char *end)
{
	char why[RESUME_WHY_SIZE] = "";
	struct resume r = {.epoch = 99};
	assert_int_equal(resume_load(f->dir, &f->origin, &r, why), error);
	assert_int_equal(r.epoch, 99);
	assert_null(r.legs);
	char expected[RESUME_WHY_SIZE];
	snprintf(expected, sizeof(expected), "%s %s", f->file, end);
	assert_string_equal(why, expected);
}

static void expect_same(const struct fixture *f)
{
	char why[RESUME_WHY_SIZE] = "";
	struct resume r;
	if (resume_load(f->dir, &f->origin, &r, why))
		fail_msg("%s", why);
	assert_int_equal(r.role, f->resume.role);
	assert_int_equal(r.epoch, f->resume.epoch);
	assert_int_equal(r.peer_link_open, f->resume.peer_link_open);
	assert_int_equal(r.leg_count, f->resume.leg_count);
	assert_non_null(r.legs);
	for (size_t i = 0; i < r.leg_count; i++) {
		const struct leg_resume *a = &r.legs[i], *b = &f->legs[i];
		assert_int_equal(a->mclag, b->mclag);
		assert_int_equal(a->forwarding, b->forwarding);
		assert_int_equal(a->isolated, b->isolated);
		assert_int_equal(a->actor_state, b->actor_state);
		assert_int_equal(a->partner.system_priority, b->partner.system_priority);
		assert_true(mac_equal(a->partner.system, b->partner.system));
		assert_int_equal(a->partner.key, b->partner.key);
		assert_int_equal(a->partner.port_priority, b->partner.port_priority);
		assert_int_equal(a->partner.port, b->partner.port);
		assert_int_equal(a->partner.state, b->partner.state);
	}
	resume_clear(&r);
	assert_null(r.legs);
}

static void kept(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	save(f);
	expect_same(f);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f->resume.role = ROLE_PRIMARY;
	f->resume.leg_count = 0;
	f->resume.peer_link_open = false;
	save(f); /* over the old one */
	expect_same(f);
}

/* write(2) calls of this process, proc(5). */
static unsigned long long writes(void)
{
	unsigned long long count = 0;
	char line[64];
	FILE *file = fopen("/proc/self/io", "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "syscw: %llu", &count) == 1)
			break;
	fclose(file);
	return count;
}

/* It is written while keepalives wait: one call, however many legs there are. */
static void written_at_once(void **state)
{
	struct fixture *f = *state;
	struct leg_resume *legs = calloc(MCLAG_MAX_COUNT, sizeof(*legs));
	char why[RESUME_WHY_SIZE];
	struct resume r;
	assert_non_null(legs);
	for (uint16_t i = 0; i < MCLAG_MAX_COUNT; i++) {
		legs[i] = f->legs[1];
		legs[i].mclag = (uint16_t)(i + 1);
	}
	f->resume.legs = legs;
	f->resume.leg_count = MCLAG_MAX_COUNT;
	unsigned long long before = writes();
	save(f);
	assert_int_equal(writes() - before, 1);
	assert_int_equal(resume_load(f->dir, &f->origin, &r, why), 0);
	assert_int_equal(r.leg_count, MCLAG_MAX_COUNT);
	resume_clear(&r);
	free(legs);
}

static void disk_full(void **state)
{
	struct fixture *f = *state;
	char why[RESUME_WHY_SIZE] = "", expected[RESUME_WHY_SIZE];
	save(f);
	const struct rlimit small = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int error = resume_save(f->dir, &f->origin, &f->resume, why);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(error, -ENOSPC);
	snprintf(expected, sizeof(expected), "%s.new: No space left on device", f->file);
	assert_string_equal(why, expected);
	expect_same(f); /* the old one stays */
}

static void not_there(void **state)
{
	struct fixture *f = *state;
	expect_refused(f, -ENOENT, "No such file or directory");
}

static void cannot_be_kept(void **state)
{
	struct fixture *f = *state;
	char why[RESUME_WHY_SIZE] = "";
	save(f);
	assert_int_equal(resume_save("/nonexistent", &f->origin, &f->resume, why), -ENOENT);
	assert_string_equal(why, "/nonexistent/resume.json.new: No such file or directory");
	expect_same(f);
}

/* Each for whom the file is not. */
static void foreign(void **state)
{
	struct fixture *f = *state;
	const struct resume_origin ours = f->origin;
	save(f);
	f->origin.kernel_boot[0] = 'f';
	expect_refused(f, -EINVAL, "is from before the kernel booted");
	f->origin = ours;
	f->origin.netns++;
	expect_refused(f, -EINVAL, "is of another network namespace");
	f->origin = ours;
	f->origin.domain++;
	expect_refused(f, -EINVAL, "is of another domain, node or system MAC");
	f->origin = ours;
	f->origin.node = 1;
	expect_refused(f, -EINVAL, "is of another domain, node or system MAC");
	f->origin = ours;
	f->origin.system.byte[5]++;
	expect_refused(f, -EINVAL, "is of another domain, node or system MAC");
	f->origin = ours;
	expect_same(f);
}

static void other_version(void **state)
{
	struct fixture *f = *state;
	char text[TEXT_SIZE];
	save(f);
	size_t size = read_file(f, text);
	char *version = strstr(text, "\"version\":1");
	assert_non_null(version);
	version[10] = '2';
	write_file(f, text, size);
	expect_refused(f, -EINVAL, "is of another version");
}

/* Any byte changed, any end cut off: refused, or (where JSON does not care) the very same state. */
static void damaged(void **state)
{
	struct fixture *f = *state;
	char text[TEXT_SIZE], why[RESUME_WHY_SIZE];
	size_t refused = 0;
	save(f);
	size_t size = read_file(f, text);
	for (size_t i = 0; i < size; i++) {
		struct resume r;
		char was = text[i];
		text[i] = (char)(was ^ 1);
		write_file(f, text, size);
		if (resume_load(f->dir, &f->origin, &r, why) == 0) {
			resume_clear(&r);
			expect_same(f);
		} else
			refused++;
		text[i] = was;
	}
	assert_int_equal(refused, size);
	for (size_t cut = 0; cut < size; cut++) {
		write_file(f, text, cut);
		expect_refused(f, -EINVAL, "is damaged");
	}
	write_file(f, "[1]", 3);
	expect_refused(f, -EINVAL, "is damaged");
	write_file(f, text, size);
	expect_same(f);
}

/* Larger than anything we write; a directory or a link in its place. */
static void no_file_of_ours(void **state)
{
	struct fixture *f = *state;
	write_file(f, "{", 1);
	assert_int_equal(truncate(f->file, 2 << 20), 0);
	expect_refused(f, -EINVAL, "is no file of ours");
	unlink(f->file);
	assert_int_equal(mkdir(f->file, 0700), 0);
	expect_refused(f, -EINVAL, "is no file of ours");
	rmdir(f->file);
	assert_int_equal(symlink("/etc/passwd", f->file), 0);
	expect_refused(f, -ELOOP, strerror(ELOOP));
}

/* What the dataplane does is stronger than what the file says. */
static void confirmed(void **state)
{
	(void)state;
	struct leg_resume legs[] = {
	    {.mclag = 1, .forwarding = true},  {.mclag = 2, .forwarding = true, .isolated = true},
	    {.mclag = 3, .forwarding = false}, {.mclag = 4, .forwarding = true, .actor_state = 9},
	    {.mclag = 5, .forwarding = true},
	};
	const struct switch_leg seen[] = {
	    {.mclag = 2, .forwarding = false, .isolated = false},
	    {.mclag = 3, .forwarding = true, .isolated = true},
	    {.mclag = 4, .forwarding = true, .isolated = true},
	    {.mclag = 5, .forwarding = true},
	    {.mclag = 6, .forwarding = true},
	};
	struct resume r = {.role = ROLE_PRIMARY, .peer_link_open = true, .leg_count = 5, .legs = legs};
	assert_int_equal(resume_confirm(&r, seen, 5, true), 2);
	assert_true(r.peer_link_open);
	assert_int_equal(r.leg_count, 4); /* 1 is no leg any more; 6 the file does not know */
	assert_int_equal(legs[0].mclag, 2);
	assert_false(legs[0].forwarding);
	assert_false(legs[0].isolated);
	assert_int_equal(legs[1].mclag, 3);
	assert_false(legs[1].forwarding);
	assert_true(legs[1].isolated);
	assert_int_equal(legs[2].mclag, 4);
	assert_true(legs[2].forwarding);
	assert_true(legs[2].isolated);
	assert_int_equal(legs[2].actor_state, 9);
	assert_true(legs[3].forwarding);
	assert_int_equal(resume_confirm(&r, NULL, 0, false), 0);
	assert_int_equal(r.leg_count, 0);
	assert_false(r.peer_link_open);
}

static void here(void **state)
{
	(void)state;
	char why[RESUME_WHY_SIZE] = "";
	struct resume_origin a = {.domain = 5}, b = {0};
	assert_int_equal(resume_origin_here(&a, why), 0);
	assert_int_equal(resume_origin_here(&b, why), 0);
	assert_int_equal(strlen(a.kernel_boot), 36);
	assert_string_equal(a.kernel_boot, b.kernel_boot);
	assert_int_not_equal(a.netns, 0);
	assert_int_equal(a.netns, b.netns);
	assert_int_equal(a.domain, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(written_at_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(disk_full, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(not_there, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(cannot_be_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(foreign, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(other_version, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(no_file_of_ours, set_up, tear_down),
	    cmocka_unit_test(confirmed),
	    cmocka_unit_test(here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
