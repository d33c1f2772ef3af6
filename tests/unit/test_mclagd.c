/* SPDX-License-Identifier: ISC */
/*
 * The whole process, alone in a namespace: command line, exit status, what it tells the service manager and
 * the log, and that it goes on where it stopped. The pair is for tests/system.
 */
#include "netlab.h"
#include "peerlink/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_SIZE 65536

struct rig {
	char dir[64];
	char config[128];
	int notify;           /* our end of NOTIFY_SOCKET */
	char told[TEXT_SIZE]; /* on it, one message per line */
	int output;           /* the child's stdout and stderr */
	char text[TEXT_SIZE]; /* from there */
	pid_t child;
};

static char dash_c[] = "-c";

/* --- the process ------------------------------------------------------------------------------------- */

static void start(struct rig *r, char *const *arguments)
{
	static char name[] = MCLAGD;
	char *argv[8] = {name};
	int ends[2];
	for (size_t i = 0; arguments[i]; i++)
		argv[i + 1] = arguments[i];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	r->text[0] = r->told[0] = 0;
	r->child = fork();
	assert_true(r->child >= 0);
	if (r->child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		execv(MCLAGD, argv);
		_exit(99);
	}
	close(ends[1]);
	r->output = ends[0];
}

/* Collects what has been written and told; true at the end of the output. */
static bool collect(struct rig *r)
{
	size_t used = strlen(r->text);
	ssize_t n = read(r->output, r->text + used, TEXT_SIZE - 1 - used);
	bool end = n == 0;
	if (n > 0)
		r->text[used + (size_t)n] = 0;
	while (r->notify >= 0) {
		used = strlen(r->told);
		n = recv(r->notify, r->told + used, TEXT_SIZE - 2 - used, MSG_DONTWAIT);
		if (n <= 0)
			break;
		memcpy(r->told + used + n, "\n", 2);
	}
	return end;
}

static bool says(struct rig *r, const char *words)
{
	collect(r);
	return strstr(r->text, words) != NULL;
}

static bool tells(struct rig *r, const char *words)
{
	collect(r);
	return strstr(r->told, words) != NULL;
}

static int finish(struct rig *r)
{
	int status;
	lab_until(NULL, collect(r));
	close(r->output);
	assert_int_equal(waitpid(r->child, &status, 0), r->child);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d:\n%s", WTERMSIG(status), r->text);
	return WEXITSTATUS(status);
}

static int run(struct rig *r, const char *one, const char *two, const char *three)
{
	char words[3][128];
	const char *from[3] = {one, two, three};
	char *arguments[4] = {NULL};
	for (size_t i = 0; i < 3 && from[i]; i++) {
		snprintf(words[i], sizeof(words[i]), "%s", from[i]);
		arguments[i] = words[i];
	}
	start(r, arguments);
	return finish(r);
}

/* --- where it lives ---------------------------------------------------------------------------------- */

static void write_config(const struct rig *r, const char *more)
{
	FILE *f = fopen(r->config, "we");
	assert_non_null(f);
	fprintf(f,
		"domain: 1\nsystem-mac: 02:00:00:00:00:aa\nbridge: br0\n"
		"peer-link: {port: pl, via: br0, address: 192.0.2.1, peer: 192.0.2.2}\n"
		"keys:\n  certificate: %s/cert.pem\n  key: %s/key.pem\n  peer-pins-file: %s/peer.pin\n"
		"  keepalive-secret: %s/secret\n"
		"control-socket: %s/sock\nstate-dir: %s\nlog: {target: stderr}\n%s",
		r->dir, r->dir, r->dir, r->dir, r->dir, r->dir, more);
	fclose(f);
}

static void make_keys(const struct rig *r)
{
	char key[128], file[128], why[PKI_WHY_SIZE], text[PIN_TEXT_SIZE];
	struct pin pin;
	snprintf(key, sizeof(key), "%s/key.pem", r->dir);
	snprintf(file, sizeof(file), "%s/cert.pem", r->dir);
	assert_int_equal(pki_make_identity(key, file, "leaf1", 10, why, sizeof(why)), 0);
	assert_int_equal(pin_of_file(file, &pin, why, sizeof(why)), 0);
	snprintf(file, sizeof(file), "%s/peer.pin", r->dir);
	FILE *f = fopen(file, "we");
	assert_non_null(f);
	fprintf(f, "# the other leaf\n\n%s  \n", pin_format(&pin, text));
	fclose(f);
	snprintf(file, sizeof(file), "%s/secret", r->dir);
	assert_int_equal(pki_make_secret(file, why, sizeof(why)), 0);
}

static void rig_init(struct rig *r)
{
	*r = (struct rig){.dir = "/tmp/test_mclagd.XXXXXX", .notify = -1};
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->config, sizeof(r->config), "%s/mclagd.yaml", r->dir);
	write_config(r, "");
}

/* As systemd would start it, in a namespace with the ports. */
static void rig_serve(struct rig *r)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	lab_require_root();
	rig_init(r);
	make_keys(r);
	lab_bridge();
	lab_run("ip addr add 192.0.2.1/24 dev br0");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", r->dir);
	r->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(r->notify >= 0);
	assert_int_equal(bind(r->notify, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	write_config(r, "mclags: [{id: 1, port: p1, lacp: static}, {id: 2, port: p2}]\nalone-s: 5\n");
}

static void rig_end(struct rig *r)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	if (r->notify >= 0)
		close(r->notify);
	lab_run("rm -r %s", r->dir);
}

/* --- tests ------------------------------------------------------------------------------------------- */

static void command_line(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r);
	assert_int_equal(run(&r, "--version", NULL, NULL), 0);
	assert_string_equal(r.text, "mclagd " MCLAGD_VERSION "\n");
	assert_int_equal(run(&r, "--help", NULL, NULL), 0);
	assert_int_equal(strncmp(r.text, "usage: mclagd ", 14), 0);
	assert_int_equal(run(&r, "--nonsense", NULL, NULL), 2);
	assert_non_null(strstr(r.text, "usage: mclagd "));
	assert_int_equal(run(&r, "word", NULL, NULL), 2);
	assert_int_equal(strncmp(r.text, "mclagd: word: no such argument\nusage: ", 38), 0);
	assert_int_equal(run(&r, "--log-level", "loud", NULL), 2);
	assert_string_equal(r.text, "mclagd: --log-level loud is not error, warning, info or debug\n");
	assert_int_equal(run(&r, "--config", "/nonexistent", "--check"), 2);
	assert_string_equal(r.text, "mclagd: /nonexistent: No such file or directory\n");
	assert_int_equal(run(&r, "--check", "-c", r.config), 0);
	assert_int_equal(strncmp(r.text, "domain: 1\nnode: 1\n", 18), 0);
	assert_non_null(strstr(r.text, "\nmclagd: notice: no backup-paths: one fault from blind\n"));
	write_config(&r, "domain: 0\n");
	assert_int_equal(run(&r, "-n", "-c", r.config), 2);
	assert_string_equal(r.text, "mclagd: mclagd.yaml:13: domain: given twice\n");
	rig_end(&r);
}

static void cannot_start(void **state)
{
	(void)state;
	struct rig r;
	lab_require_root();
	rig_init(&r);
	assert_int_equal(run(&r, "-c", r.config, NULL), 1);
	assert_non_null(strstr(r.text, "mclagd: error: daemon: cannot start: keys: "));
	assert_non_null(strstr(r.text, "/secret: No such file or directory\n"));
	make_keys(&r);
	assert_int_equal(run(&r, "-c", r.config, NULL), 1);
	assert_string_equal(r.text, "mclagd: error: daemon: cannot start: switch: br0 (bridge): "
				    "there is no such bridge\n");
	lab_run("echo rubbish > %s/peer.pin", r.dir);
	assert_int_equal(run(&r, "-c", r.config, NULL), 2); /* the service manager need not try again */
	assert_non_null(
	    strstr(r.text, "/peer.pin:1: expected \"sha256:\" and 64 hex digits, at most 8 times\n"));
	lab_run("chmod 0644 %s/secret", r.dir);
	assert_int_equal(run(&r, "-c", r.config, NULL), 2);
	assert_non_null(strstr(r.text, "mclagd: error: daemon: cannot start: keys: "));
	rig_end(&r);
}

static bool forwards(const char *port)
{
	return lab_try("nft list set bridge mclagd forwarding 2>/dev/null | grep -q '\"%s\"'", port);
}

/* A second one, started by hand with a state directory of its own, must not touch what the first one does. */
static void only_one(void **state)
{
	(void)state;
	struct rig r, other;
	rig_serve(&r);
	other = r;
	other.notify = -1;
	snprintf(other.config, sizeof(other.config), "%s/other.yaml", r.dir);
	lab_run("mkdir %s/other && sed 's|^\\(control-socket: .*\\)/sock|\\1/other/sock|; "
		"s|^\\(state-dir: .*\\)|\\1/other|' %s > %s",
		r.dir, r.config, other.config);
	start(&r, (char *const[]){dash_c, r.config, NULL});
	lab_until(NULL, forwards("p1")); /* alone after 5 s */
	assert_int_equal(run(&other, "-c", other.config, NULL), 1);
	assert_non_null(strstr(other.text,
			       "mclagd: error: daemon: cannot start: lock: another mclagd works in "
			       "this network namespace: stop it first (systemctl stop mclagd, or end "
			       "the process that `fuser /run/mclagd/lock-"));
	assert_int_equal(run(&other, "--close-gates", "-c", other.config), 1);
	assert_non_null(strstr(other.text, "mclagd: cannot close the gates: another mclagd works in this"));
	assert_true(forwards("p1"));
	/* The lock goes with its process, however that ends. */
	kill(r.child, SIGKILL);
	assert_int_equal(waitpid(r.child, NULL, 0), r.child);
	close(r.output);
	start(&other, (char *const[]){dash_c, other.config, NULL});
	lab_until(NULL, says(&other, "daemon: mclagd " MCLAGD_VERSION ", domain 1"));
	kill(other.child, SIGTERM);
	assert_int_equal(finish(&other), 0);
	rig_end(&r);
}

static void served(void **state)
{
	(void)state;
	struct rig r;
	rig_serve(&r);
	setenv("WATCHDOG_USEC", "200000", 1);
	start(&r, (char *const[]){dash_c, r.config, NULL});
	lab_until(NULL, tells(&r, "READY=1\n"));
	lab_until(NULL, tells(&r, "STATUS=peer unknown, session down, role none, 0 of 2 legs forwarding\n"));
	lab_until(NULL, tells(&r, "WATCHDOG=1\nWATCHDOG=1\n")); /* it goes on */
	lab_until(NULL, says(&r, "mclagd: warning: daemon: no backup-paths: one fault from blind\n"));
	assert_true(says(&r, "daemon: mclagd " MCLAGD_VERSION ", domain 1, node 1, 2 mclags\n"));
	assert_true(says(&r, "mclagd: info: domain: started -> every leg is held until there is proof\n"));
	kill(r.child, SIGHUP);
	lab_until(NULL, says(&r, "config: the configuration has not changed\n"));
	write_config(&r, "priority: 5\n");
	kill(r.child, SIGHUP);
	lab_until(NULL, says(&r, "config: the configuration has changed: restart mclagd to use it\n"));
	write_config(&r, "priority: x\n");
	kill(r.child, SIGHUP);
	lab_until(NULL, says(&r, "mclagd: error: config: a restart would fail: "
				 "mclagd.yaml:13: priority: x is not 0..65535\n"));
	kill(r.child, SIGTERM);
	assert_int_equal(finish(&r), 0);
	assert_true(tells(&r, "STOPPING=1\n"));
	assert_true(says(&r, "daemon: stopped; the dataplane stays as it is\n"));
	rig_end(&r);
}

/* A leg that forwards goes on while nobody is there, and after kill -9, and is taken over by the next run. */
static void resumed(void **state)
{
	(void)state;
	struct rig r;
	struct stat st;
	char file[128];
	rig_serve(&r);
	char *const arguments[] = {dash_c, r.config, NULL};
	start(&r, arguments);
	lab_until(NULL, forwards("p1")); /* alone after 5 s */
	assert_false(forwards("p2"));    /* speaks LACP with nobody */
	kill(r.child, SIGTERM);
	assert_int_equal(finish(&r), 0);
	assert_true(forwards("p1"));
	snprintf(file, sizeof(file), "%s/resume.json", r.dir);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (int again = 0; again < 2; again++) {
		start(&r, arguments);
		lab_until(NULL, tells(&r, "READY=1\n"));
		lab_until(NULL, says(&r, "mclagd: info: daemon: resuming: 1 of 2 legs forward\n"));
		assert_true(says(&r, "mclagd: info: domain: started -> resuming what the dataplane does\n"));
		assert_true(forwards("p1"));
		kill(r.child, SIGKILL);
		assert_int_equal(waitpid(r.child, NULL, 0), r.child);
		close(r.output);
		assert_true(forwards("p1"));
	}
	/* Without the file nobody knows what the rules were for: closed at once. */
	assert_int_equal(unlink(file), 0);
	start(&r, arguments);
	lab_until(NULL, tells(&r, "READY=1\n"));
	assert_false(says(&r, "resuming"));
	assert_false(forwards("p1"));
	kill(r.child, SIGTERM);
	assert_int_equal(finish(&r), 0);
	rig_end(&r);
}

/* How often a file of that name was put in place; the old count is forgotten. */
static size_t renamed(int watch, const char *name)
{
	_Alignas(struct inotify_event) char bytes[4096];
	size_t count = 0;
	for (ssize_t n; (n = read(watch, bytes, sizeof(bytes))) > 0;)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(bytes + at);
			count += (e->mask & IN_MOVED_TO) && strcmp(e->name, name) == 0;
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	return count;
}

#define MANY 40

/* MANY legs of their own, which forward as soon as the daemon is alone. */
static void many_legs(struct rig *r)
{
	char list[4096] = "alone-s: 5\nmclags:\n";
	for (int i = 1; i <= MANY; i++) {
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "  - {id: %d, port: m%d, lacp: static}\n", i, i);
	}
	lab_run("for i in $(seq %d); do echo \"link add m$i type veth peer name n$i\"; "
		"echo \"link set m$i master br0 up\"; echo \"link set n$i up group 9\"; done | ip -batch -",
		MANY);
	write_config(r, list);
}

/* A burst of changes is not a burst of files, and its end is in the last one. */
static void kept_in_time(void **state)
{
	(void)state;
	struct rig r;
	rig_serve(&r);
	many_legs(&r);
	start(&r, (char *const[]){dash_c, r.config, NULL});
	for (int i = 1; i <= MANY; i++) {
		char port[16];
		snprintf(port, sizeof(port), "m%d", i);
		lab_until(NULL, (collect(&r), forwards(port)));
	}
	lab_until(NULL, lab_try("! grep -q '\"forwarding\":false' %s/resume.json", r.dir));
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(watch >= 0);
	assert_true(inotify_add_watch(watch, r.dir, IN_MOVE) >=
		    0); /* both ends: equal events would become one */
	uint64_t began = lab_now();
	lab_run("ip link set group 9 down");
	lab_until(NULL, lab_try("! grep -q '\"forwarding\":true' %s/resume.json", r.dir));
	uint64_t took = lab_now() - began;
	size_t count = renamed(watch, "resume.json");
	print_message("%d legs closed: %zu files in %llu ms\n", MANY, count, (unsigned long long)took);
	assert_in_range(count, 1, took / 100 + 2);
	close(watch);
	kill(r.child, SIGTERM);
	assert_int_equal(finish(&r), 0);
	rig_end(&r);
}

/* A run is recorded and decided again; what cannot be recorded is said, and costs nothing. */
static void recorded(void **state)
{
	(void)state;
	struct rig r;
	char file[128];
	rig_serve(&r);
	char *const arguments[] = {dash_c, r.config, NULL};
	lab_run("echo 'journal: {file: %s/journal}' >> %s", r.dir, r.config);
	snprintf(file, sizeof(file), "%s/journal", r.dir);
	for (int last = 0; last < 2; last++) {
		start(&r, arguments);
		lab_until(NULL, tells(&r, "READY=1\n"));
		kill(r.child, last ? SIGTERM : SIGKILL);
		if (last) {
			assert_int_equal(finish(&r), 0);
			continue;
		}
		assert_int_equal(waitpid(r.child, NULL, 0), r.child);
		close(r.output);
	}
	assert_int_equal(run(&r, "--replay", file, NULL), 0);
	assert_true(says(&r, "domain 1, node 1, 2 mclags, "));
	assert_true(says(&r, "told to stop -> goodbye"));
	assert_true(says(&r, "note: the daemon ended\n"));
	assert_true(says(&r, " events, identical\n"));
	snprintf(file, sizeof(file), "%s/journal.1", r.dir);
	assert_int_equal(run(&r, "-r", file, NULL), 0);
	assert_true(says(&r, "note: the journal has no end"));
	assert_true(says(&r, " events, identical\n"));
	assert_int_equal(run(&r, "--replay", r.config, NULL), 2);
	assert_true(says(&r, "/mclagd.yaml: byte 0: no journal of mclagd\n"));
	assert_int_equal(run(&r, "--replay", "/nonexistent", NULL), 2);
	assert_string_equal(r.text, "mclagd: /nonexistent: No such file or directory\n");

	lab_run("sed -i 's,^journal:.*,journal: {file: /nonexistent/journal},' %s", r.config);
	start(&r, arguments);
	lab_until(NULL, tells(&r, "READY=1\n"));
	assert_true(says(&r, "mclagd: warning: journal: nothing is recorded: "
			     "/nonexistent/journal: No such file or directory\n"));
	kill(r.child, SIGTERM);
	assert_int_equal(finish(&r), 0);
	lab_run("rm -f %s/journal %s/journal.1", r.dir, r.dir);
	rig_end(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(command_line), TEST(cannot_start), TEST(only_one), TEST(served),
	    TEST(resumed),      TEST(kept_in_time), TEST(recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
