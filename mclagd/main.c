/* SPDX-License-Identifier: ISC */
/*
 * mclagd: options, signals, the service manager, and the exit status. Everything else is the daemon's.
 *
 * SIGTERM and SIGINT leave the dataplane as it is and tell the peer "restart": systemd does not say whether a
 * stop is for good, and an upgrade must not cost a frame. To take a leaf out of service is another command.
 */
#include "mclagd/daemon.h"
#include "mclagd/lock.h"
#include "mclagd/log.h"
#include "mclagd/loop.h"
#include "mclagd/replay.h"
#include "mclagd/service.h"
#include "mclagd/switch.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "/etc/mclagd/mclagd.yaml"
#define STATUS_MS   1000 /* how often the service manager's status line is looked at */
#define STATUS_SIZE 128
#define WHY_SIZE    768

/* mclagd(8), EXIT STATUS. */
enum exit_status {
	EXIT_STOPPED = 0,
	EXIT_FAILED = 1, /* something of this machine: an interface, the kernel, a file that may still come */
	EXIT_CONFIG = 2, /* the command line, the configuration, what is in a key file, or who may read it:
			    trying again is no use */
};

struct options {
	const char *file;
	const char *replay; /* a journal, or NULL */
	bool check, close_gates;
	bool log_level_given;
	enum config_log_level log_level;
};

struct process {
	const struct options *options;
	struct config *config;
	struct log log;
	struct event_base *base;
	struct daemon *daemon;
	bool told_to_stop;
	struct loop_signal *signals[3];
	struct loop_signal_handler signal_handler;
	struct loop_timer *status;
	struct loop_timer_handler status_handler;
	int64_t status_ms;
	bool watchdog;
	bool ready; /* and told */
	char status_text[STATUS_SIZE];
};

#define PROCESS_OF(pointer, member)                                                                          \
	((struct process *)(void *)((char *)(pointer)-offsetof(struct process, member)))

/* --- command line ------------------------------------------------------------------------------------ */

static void usage(FILE *to)
{
	fputs(
	    "usage: mclagd [--config FILE] [--check | --close-gates] [--log-level error|warning|info|debug]\n"
	    "       mclagd --replay FILE\n"
	    "       mclagd --version | --help\n"
	    "\n"
	    "  -c, --config FILE      the configuration [" CONFIG_FILE "]\n"
	    "  -n, --check            check it, print its canonical form, and end\n"
	    "  -g, --close-gates      hold every leg from now on, and end: before the network comes up\n"
	    "  -r, --replay FILE      decide again what this journal recorded, and compare\n"
	    "  -l, --log-level LEVEL  instead of the configured one\n"
	    "  -V, --version          print the version\n"
	    "  -h, --help             print this\n",
	    to);
}

/* -1 = go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'n'},
	    {"close-gates", no_argument, NULL, 'g'},
	    {"replay", required_argument, NULL, 'r'},
	    {"log-level", required_argument, NULL, 'l'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	for (int option; (option = getopt_long(argc, argv, "c:ngr:l:Vh", longs, NULL)) != -1;) {
		switch (option) {
		case 'c':
			o->file = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'g':
			o->close_gates = true;
			break;
		case 'r':
			o->replay = optarg;
			break;
		case 'l':
			if (config_log_level_parse(optarg, &o->log_level)) {
				fprintf(stderr,
					"mclagd: --log-level %s is not error, warning, info or debug\n",
					optarg);
				return EXIT_CONFIG;
			}
			o->log_level_given = true;
			break;
		case 'V':
			puts("mclagd " MCLAGD_VERSION);
			return EXIT_STOPPED;
		case 'h':
			usage(stdout);
			return EXIT_STOPPED;
		default:
			usage(stderr);
			return EXIT_CONFIG;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "mclagd: %s: no such argument\n", argv[optind]);
	usage(stderr);
	return EXIT_CONFIG;
}

static int check_only(const struct config *c)
{
	config_write(c, stdout);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "mclagd: cannot write: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (c->backup_path_count == 0)
		fputs("mclagd: notice: no backup-paths: one fault from blind\n", stderr);
	return EXIT_STOPPED;
}

/* Not under a daemon that works: it would go on as if its legs were open. */
static int close_gates(const struct config *c)
{
	char why[WHY_SIZE];
	int lock, error = lock_take(&lock, why, sizeof(why));
	if (!error) {
		error = switch_close_gates(c, why, sizeof(why));
		lock_release(lock);
	}
	if (error)
		fprintf(stderr, "mclagd: cannot close the gates: %s\n", why);
	return error ? EXIT_FAILED : EXIT_STOPPED;
}

static int replay_only(const char *name)
{
	char why[JOURNAL_WHY_SIZE];
	FILE *f = fopen(name, "re");
	if (!f) {
		fprintf(stderr, "mclagd: %s: %s\n", name, strerror(errno));
		return REPLAY_UNUSABLE;
	}
	enum replay_result result = replay(f, MCLAGD_VERSION, stdout, why);
	fclose(f);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "mclagd: cannot write: %s\n", strerror(errno));
		return REPLAY_UNUSABLE;
	}
	if (result == REPLAY_UNUSABLE)
		fprintf(stderr, "mclagd: %s: %s\n", name, why);
	return (int)result;
}

/* --- signals ----------------------------------------------------------------------------------------- */

/* Nothing is applied: the running configuration stays, and the operator learns whether a restart would work.
 */
static void look_at_config(struct process *p)
{
	char why[SOURCE_WHY_SIZE];
	struct config *fresh;
	if (config_load(&fresh, p->options->file, why)) {
		log_write(&p->log, CONFIG_LOG_ERROR, "config", 0, "a restart would fail: %s", why);
		return;
	}
	if (p->options->log_level_given)
		fresh->log.level = p->options->log_level;
	log_write(&p->log, CONFIG_LOG_INFO, "config", 0, "%s",
		  config_equal(fresh, p->config) ? "the configuration has not changed"
						 : "the configuration has changed: restart mclagd to use it");
	config_free(fresh);
}

/* While the daemon is still being made there is nothing to say goodbye with; live() comes back to it. */
static void stop(struct process *p)
{
	if (!p->daemon)
		return;
	service_notify("STOPPING=1");
	daemon_stop(p->daemon, REASON_RESTART);
}

static void signal_caught(struct loop_signal_handler *handler, int number)
{
	struct process *p = PROCESS_OF(handler, signal_handler);
	if (number == SIGHUP) {
		look_at_config(p);
		return;
	}
	if (p->told_to_stop) /* a second time: at once */
		loop_exit(p->base);
	p->told_to_stop = true;
	stop(p);
}

/* --- the service manager ----------------------------------------------------------------------------- */

static void format_status(const struct domain *domain, char text[static STATUS_SIZE])
{
	struct domain_view v;
	size_t forwarding = 0;
	domain_view(domain, &v);
	for (size_t i = 0; i < v.mclag_count; i++) {
		struct leg_view leg;
		domain_leg_view(domain, i, &leg);
		forwarding += leg.phase == LEG_FORWARDING;
	}
	snprintf(text, STATUS_SIZE, "peer %s, session %s, role %s, %zu of %zu legs forwarding",
		 verdict_name(v.verdict), session_state_name(v.session), role_name(v.role), forwarding,
		 v.mclag_count);
}

/* The watchdog is fed from the loop, so a loop that hangs is restarted; the dataplane survives that. What the
 * service manager does not take now is told the next time. */
static void status_due(struct loop_timer_handler *handler)
{
	struct process *p = PROCESS_OF(handler, status_handler);
	char text[STATUS_SIZE];
	loop_timer_set(p->status, p->status_ms);
	if (p->watchdog)
		service_notify("WATCHDOG=1");
	if (!p->ready)
		p->ready = service_notify("READY=1");
	format_status(daemon_domain(p->daemon), text);
	if (strcmp(text, p->status_text) != 0 && service_notify("STATUS=%s", text))
		memcpy(p->status_text, text, sizeof(text));
}

static void start_status(struct process *p)
{
	int64_t watchdog_ms = service_watchdog_ms();
	p->watchdog = watchdog_ms > 0;
	p->status_ms = p->watchdog && watchdog_ms / 2 < STATUS_MS ? watchdog_ms / 2 : STATUS_MS;
	p->status_handler.due = status_due;
	p->status = loop_timer_create(p->base, LOOP_PEER, &p->status_handler);
	status_due(&p->status_handler);
}

/* --- the daemon's life ------------------------------------------------------------------------------- */

static int live(struct process *p)
{
	char why[WHY_SIZE];
	int error = daemon_create(&p->daemon, p->base, p->config, why, sizeof(why));
	if (error) {
		log_write(&p->log, CONFIG_LOG_ERROR, "daemon", 0, "cannot start: %s", why);
		return error == -EKEYREJECTED ? EXIT_CONFIG : EXIT_FAILED;
	}
	log_write(&p->log, CONFIG_LOG_INFO, "daemon", 0,
		  "mclagd " MCLAGD_VERSION ", domain %u, node %u, %zu mclags", p->config->domain,
		  p->config->node, p->config->mclag_count);
	if (p->config->backup_path_count == 0)
		log_write(&p->log, CONFIG_LOG_WARNING, "daemon", 0, "no backup-paths: one fault from blind");
	start_status(p);
	if (p->told_to_stop)
		stop(p);
	error = loop_run(p->base);
	log_write(&p->log, error ? CONFIG_LOG_ERROR : CONFIG_LOG_INFO, "daemon", 0, "%s",
		  error ? "the event loop failed" : "stopped; the dataplane stays as it is");
	loop_timer_destroy(p->status);
	daemon_destroy(p->daemon);
	return error ? EXIT_FAILED : EXIT_STOPPED;
}

static int run(const struct options *o, struct config *c)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	struct process p = {
	    .options = o, .config = c, .base = loop_create(), .signal_handler = {.caught = signal_caught}};
	log_open(&p.log, c->log.level, c->log.target);
	signal(SIGPIPE, SIG_IGN); /* a peer or client that goes away is an error of write, not ours */
	for (size_t i = 0; i < 3; i++)
		p.signals[i] = loop_signal_create(p.base, numbers[i], &p.signal_handler);
	int status = live(&p);
	for (size_t i = 0; i < 3; i++)
		loop_signal_destroy(p.signals[i]);
	loop_destroy(p.base);
	log_close(&p.log);
	return status;
}

int main(int argc, char **argv)
{
	struct options o = {.file = CONFIG_FILE};
	char why[SOURCE_WHY_SIZE];
	struct config *c;
	int status = parse_options(argc, argv, &o);
	if (status >= 0)
		return status;
	if (o.replay)
		return replay_only(o.replay);
	if (config_load(&c, o.file, why)) {
		fprintf(stderr, "mclagd: %s\n", why);
		return EXIT_CONFIG;
	}
	if (o.log_level_given)
		c->log.level = o.log_level;
	status = o.check ? check_only(c) : o.close_gates ? close_gates(c) : run(&o, c);
	config_free(c);
	return status;
}
