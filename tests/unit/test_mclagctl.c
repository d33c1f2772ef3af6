/* SPDX-License-Identifier: ISC */
/*
 * test_mclagctl.c - the program itself, as a process: its exit status, what it prints where, against the real
 * control socket, and against a daemon that answers what it should not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control_rig.h"
#include "control_samples.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 12
#define TURNS_MAX     20000 /* of a millisecond, until a test gives up */

extern char **environ;

struct run {
	int status; /* exit status, or -1 for a signal */
	char *out, *error;
};

static struct rig *rig;

static int open_rig(void **state)
{
	(void)state;
	rig = rig_create();
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	rig_destroy(rig);
	return 0;
}

static char *contents(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)size, 0), size);
	close(fd);
	return text;
}

/* Starts mclagctl on the socket, with its output in the two files. arguments: words separated by a blank. */
static pid_t start(const char *socket, const char *arguments, int out, int error)
{
	char words[256], program[] = MCLAGCTL, option[] = "--socket", path[256];
	char *list[ARGUMENTS_MAX + 4] = {program, option, path};
	posix_spawn_file_actions_t files;
	size_t count = 3;
	pid_t pid;

	snprintf(path, sizeof(path), "%s", socket);
	snprintf(words, sizeof(words), "%s", arguments);
	for (char *save, *word = strtok_r(words, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		list[count++] = word;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, error, STDERR_FILENO);
	assert_int_equal(posix_spawn(&pid, program, &files, NULL, list, environ), 0);
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

/* Its end, while the rig (if there is one) and then `serve` (if not NULL) go on. */
static int end_of(pid_t pid, void (*serve)(void))
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		int status;

		if (rig != NULL)
			rig_turn(rig);
		if (serve != NULL)
			serve();
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		poll(NULL, 0, 1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fail_msg("mclagctl does not end");
	return -1;
}

static struct run run_on(const char *socket, const char *arguments, void (*serve)(void))
{
	int out = memfd_create("out", 0), error = memfd_create("error", 0);
	struct run r = {.status = end_of(start(socket, arguments, out, error), serve)};

	r.out = contents(out);
	r.error = contents(error);
	return r;
}

static struct run run(const char *arguments)
{
	return run_on(rig_socket(rig), arguments, NULL);
}

static void done(struct run *r)
{
	free(r->out);
	free(r->error);
}

static void assert_run(const char *arguments, int status, const char *out, const char *error)
{
	struct run r = run(arguments);

	assert_string_equal(r.error, error);
	if (out != NULL)
		assert_string_equal(r.out, out);
	assert_int_equal(r.status, status);
	done(&r);
}

static json_t *run_json(const char *arguments, int status)
{
	struct run r = run(arguments);
	json_t *json = json_loads(r.out, 0, NULL);

	assert_string_equal(r.error, "");
	assert_int_equal(r.status, status);
	assert_non_null(json);
	done(&r);
	return json;
}

/* --- against the real socket ------------------------------------------------------------------------- */

static void status(void **state)
{
	struct run r = run("");

	(void)state;
	assert_int_equal(r.status, 2);
	assert_int_equal(strncmp(r.out, "down\n", 5), 0);
	assert_non_null(strstr(r.out, "\nFindings\n"));
	assert_null(strchr(r.out, '\033'));
	done(&r);
	json_t *json = run_json("--json status", 2);

	assert_string_equal(json_string_value(json_object_get(json, "health")), "down");
	assert_int_equal(json_array_size(json_object_get(json, "mclags")), 2);
	assert_true(json_is_null(json_object_get(json, "peer")));
	json_decref(json);
}

static void ports(void **state)
{
	json_t *json = run_json("ports 7 --json", 0);
	json_t *list = json_object_get(json, "ports");

	(void)state;
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "port")), "swp7");
	json_decref(json);
	assert_run("ports 8", 3, "", "mclagctl: mclagd: mclag 8 is not configured\n");
	struct run r = run("ports");

	assert_int_equal(r.status, 0);
	assert_int_equal(strncmp(r.out, "mclag 1 on swp1: held for ", 26), 0);
	done(&r);
}

static void mac(void **state)
{
	(void)state;
	assert_run("mac", 0, "0 entries\n", "");
	rig_learn(rig, 0, 1000, 10);
	json_t *json = run_json("mac --vlan 10 --json", 0);

	assert_int_equal(json_integer_value(json_object_get(json, "matched")), 1000);
	assert_int_equal(json_array_size(json_object_get(json, "entries")), 1000);
	json_decref(json);
	assert_run("mac --mac 02-00-01-00-00-07", 0,
		   "VLAN  MAC                PLACE   PORT  SEEN  PROGRAMMED  MOVES\n"
		   "  10  02:00:01:00:00:07  orphan  lo    here  none            0\n"
		   "1 entry\n",
		   "");
	assert_run("mac --mclag 7", 0, "0 entries\n", "");
}

static void events(void **state)
{
	(void)state;
	rig_say(rig, TRACE_INFO, "one");
	rig_say(rig, TRACE_DEBUG, "two");
	rig_say(rig, TRACE_WARN, "three");
	struct run r = run("events --json");
	char *second = strchr(r.out, '\n') + 1;
	json_t *json = json_loads(second, 0, NULL);

	assert_int_equal(r.status, 0);
	assert_int_equal(json_integer_value(json_object_get(json, "number")), 3);
	assert_string_equal(json_string_value(json_object_get(json, "text")), "three");
	json_decref(json);
	done(&r);
	assert_run("events --since 3", 0, "NUMBER  TIME                ROOM      EVENT\n", "");
	r = run("events --debug --since 1");
	assert_non_null(strstr(r.out, "two"));
	assert_null(strstr(r.out, "one"));
	done(&r);
}

/* Lines are printed as they happen, into a pipe too. */
static void follow(void **state)
{
	int pipes[2], error = memfd_create("error", 0);
	char text[1024] = "";
	size_t size = 0;

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	pid_t pid = start(rig_socket(rig), "events --follow --json", pipes[1], error);

	for (int turn = 0, said = 0; turn < TURNS_MAX && strstr(text, "third") == NULL; turn++) {
		static const char *const lines[] = {"first", "second", "third"};

		/* The next line is said when the one before it has arrived. */
		if (said == 0 || (said < 3 && strstr(text, lines[said - 1]) != NULL))
			rig_say(rig, TRACE_INFO, lines[said++]);
		rig_turn(rig);
		poll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, 1);
		ssize_t n = read(pipes[0], text + size, sizeof(text) - 1 - size);

		size += n > 0 ? (size_t)n : 0;
	}
	assert_non_null(strstr(text, "third"));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it goes on */
	kill(pid, SIGTERM);
	assert_int_equal(end_of(pid, NULL), -1);
	close(pipes[0]);
	close(pipes[1]);
	close(error);
}

static void counters(void **state)
{
	json_t *json = run_json("counters --json", 0);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "control"), "requests")),
			 1);
	json_decref(json);
	struct run r = run("counters");

	assert_int_equal(r.status, 0);
	assert_int_equal(strncmp(r.out, "MESSAGE ", 8), 0);
	done(&r);
}

static void usage(void **state)
{
	static const struct {
		const char *arguments, *error;
	} cases[] = {
	    {"ports 0", "ports: 0 is no mclag id, 1..65535"},
	    {"ports 65536", "ports: 65536 is no mclag id, 1..65535"},
	    {"ports -1x", NULL},
	    {"ports 1 2", "ports takes no such argument"},
	    {"mac --vlan 4095", "--vlan: 4095 is no VLAN id, 1..4094"},
	    {"mac --mac 02:00", "--mac: 02:00 is no MAC address"},
	    {"mac --mclag 1x", "--mclag: 1x is no mclag id, 1..65535"},
	    {"events --since 99999999999999999999", "--since: 99999999999999999999 is no event's number"},
	    {"status --follow", "status does not take that option"},
	    {"frobnicate", "there is no command frobnicate"},
	    {"whatif",
	     "whatif: what fails? leg-down ID, peer-link-down, backup-down, peer-dead or self-down"},
	    {"whatif leg-down", "whatif: leg-down takes an mclag id, 1..65535"},
	    {"whatif leg-down 0", "whatif: leg-down takes an mclag id, 1..65535"},
	    {"whatif self-down 1", "whatif: self-down takes no id"},
	    {"pki make", "pki: the one thing it does is: init DIR"},
	    {"--frobnicate", NULL}, /* getopt's words */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run r = run(cases[i].arguments);
		char expected[160];

		assert_int_equal(r.status, 3);
		assert_string_equal(r.out, "");
		snprintf(expected, sizeof(expected), "mclagctl: %s; see mclagctl --help\n",
			 cases[i].error != NULL ? cases[i].error : "");
		if (cases[i].error != NULL)
			assert_string_equal(r.error, expected);
		assert_true(r.error[0] != '\0');
		done(&r);
	}
	assert_int_equal(rig_control(rig).requests, 1); /* this one: none of them has asked anything */
	struct run r = run("--help");

	assert_int_equal(r.status, 0);
	assert_int_equal(strncmp(r.out, "usage: mclagctl ", 16), 0);
	done(&r);
	assert_run("--version", 0, "mclagctl " MCLAGD_VERSION "\n", "");
}

/* What could not be written was not done. */
static void full_disk(void **state)
{
	int full = open("/dev/full", O_WRONLY), error = memfd_create("error", 0);

	(void)state;
	assert_int_equal(end_of(start(rig_socket(rig), "status", full, error), NULL), 3);
	close(full);
	char *text = contents(error);

	assert_string_equal(text, "mclagctl: No space left on device\n");
	free(text);
}

/* --- against what is no daemon ----------------------------------------------------------------------- */

static char place[64], socket_path[96];
static int listener = -1;
static uint8_t *canned;
static size_t canned_size;

static int open_canned(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	snprintf(place, sizeof(place), "/tmp/mclagd-canned-XXXXXX");
	assert_non_null(mkdtemp(place));
	snprintf(socket_path, sizeof(socket_path), "%s/s", place);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	rig = NULL;
	return 0;
}

static int close_canned(void **state)
{
	(void)state;
	close(listener);
	unlink(socket_path);
	free(canned);
	canned = NULL;
	return rmdir(place);
}

/* Answers whoever comes with the canned bytes, and closes. */
static void serve(void)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	assert_int_equal(send(fd, canned, canned_size, MSG_NOSIGNAL), canned_size);
	close(fd);
}

static void can_bytes(const void *bytes, size_t size)
{
	free(canned);
	canned = malloc(size + 1);
	assert_non_null(canned);
	memcpy(canned, bytes, size);
	canned_size = size;
}

static void can(const Mclag__Control__Response *r)
{
	size_t size = mclag__control__response__get_packed_size(r);

	can_bytes("", 0);
	canned = realloc(canned, FRAME_HEAD + size);
	frame_head(canned, size);
	mclag__control__response__pack(r, canned + FRAME_HEAD);
	canned_size = FRAME_HEAD + size;
}

static void exit_status(void **state)
{
	static const char *const first[] = {"healthy\n", "degraded\n", "down\n", "?\n"};
	static const int expected[] = {0, 1, 2, 1};

	(void)state;
	for (int health = 0; health < 4; health++) {
		Mclag__Control__Response r = MCLAG__CONTROL__RESPONSE__INIT;

		r.answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_STATUS;
		r.status = sample_status((Mclag__Control__Health)health);
		can(&r);
		struct run run = run_on(socket_path, "status", serve);

		assert_int_equal(run.status, expected[health]);
		assert_int_equal(strncmp(run.out, first[health], strlen(first[health])), 0);
		done(&run);
		mclag__control__status__free_unpacked(r.status, NULL);
	}
}

/* To "mclagctl: cannot VERB mclagd at ...: REST". */
static void assert_canned(const void *bytes, size_t size, const char *verb, const char *rest)
{
	char expected[512];

	can_bytes(bytes, size);
	struct run r = run_on(socket_path, "status", serve);

	assert_int_equal(r.status, 3);
	assert_string_equal(r.out, "");
	snprintf(expected, sizeof(expected), "mclagctl: cannot %s mclagd at %s: %s\n", verb, socket_path,
		 rest);
	assert_string_equal(r.error, expected);
	done(&r);
}

static void wrong_answers(void **state)
{
	static const char gone[] =
	    "Connection reset by peer; the daemon closed the connection: journalctl -u mclagd";
	Mclag__Control__Response r = MCLAG__CONTROL__RESPONSE__INIT;
	Mclag__Control__Ports empty = MCLAG__CONTROL__PORTS__INIT;

	(void)state;
	assert_canned("", 0, "ask", gone);
	assert_canned("\0\0\0\7ab", 6, "ask", gone); /* cut off */
	assert_canned("HTTP/1.1", 8, "understand",
		      "frame over the limit; are mclagctl and mclagd of one version?");
	assert_canned("\0\0\0\2\xff\xff", 6, "understand",
		      "its answer is no control message; are mclagctl and mclagd of one version?");
	r.answer_case = MCLAG__CONTROL__RESPONSE__ANSWER_PORTS;
	r.ports = &empty;
	can(&r);
	uint8_t *bytes = canned;

	canned = NULL;
	assert_canned(bytes, canned_size, "understand",
		      "it answered another question; are mclagctl and mclagd of one version?");
	free(bytes);
}

static void nobody(void **state)
{
	(void)state;
	close(listener);
	assert_canned("", 0, "ask", "Connection refused; is the daemon running? systemctl status mclagd");
	unlink(socket_path);
	assert_canned("", 0, "ask",
		      "No such file or directory; is the daemon running? systemctl status mclagd");
}

int main(void)
{
#define IN_RIG(test)    cmocka_unit_test_setup_teardown(test, open_rig, close_rig)
#define IN_CANNED(test) cmocka_unit_test_setup_teardown(test, open_canned, close_canned)
	const struct CMUnitTest tests[] = {
	    IN_RIG(status),
	    IN_RIG(ports),
	    IN_RIG(mac),
	    IN_RIG(events),
	    IN_RIG(follow),
	    IN_RIG(counters),
	    IN_RIG(usage),
	    IN_RIG(full_disk),
	    IN_CANNED(exit_status),
	    IN_CANNED(wrong_answers),
	    IN_CANNED(nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
