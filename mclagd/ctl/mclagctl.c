/* SPDX-License-Identifier: ISC */
/*
 * ctl/mclagctl.c - the command line: words into one Request, Responses onto the screen, a result into an exit
 * status. A command is one row of COMMANDS; what its answer looks like is show.c's, or json.c's for every
 * view.
 */
#include "ctl/client.h"
#include "ctl/json.h"
#include "ctl/keys.h"
#include "ctl/show.h"
#include "proto/types.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SOCKET_PATH "/run/mclagd/mclagd.sock"
#define WIDTH_LEAST 40

/* mclagctl(8), EXIT STATUS. 0..2 are the daemon's enum Health. */
#define EXIT_CANNOT 3

enum option_bit {
	OPTION_WATCH = 1 << 0,
	OPTION_FOLLOW = 1 << 1,
	OPTION_SINCE = 1 << 2,
	OPTION_DEBUG = 1 << 3,
	OPTION_VLAN = 1 << 4,
	OPTION_MAC = 1 << 5,
	OPTION_MCLAG = 1 << 6,
};

struct options {
	const char *socket;
	bool json;
	unsigned given; /* enum option_bit */
	uint64_t since;
	uint32_t vlan, mclag;
	char mac[MAC_TEXT_SIZE];
};

struct command {
	const char *name;
	unsigned allowed; /* enum option_bit */
	int arguments;    /* at most so many words after the name */
	int (*run)(const struct options *options, char *const *arguments, int count);
};

/* --- answers ----------------------------------------------------------------------------------------- */

struct asking {
	struct client_reader reader;
	const struct options *options;
	struct sheet sheet;
	int status;              /* of this process, when all goes well */
	bool title;              /* of the events is printed */
	Mclag__Control__Mac mac; /* collected from all its Responses */
};

static struct sheet sheet_of_stdout(void)
{
	struct sheet sheet = {.out = stdout};
	const char *no_colour = getenv("NO_COLOR");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return sheet;
	sheet.width = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		sheet.width = size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
	sheet.colour = no_colour == NULL || no_colour[0] == '\0';
	return sheet;
}

static void print_json(const ProtobufCMessage *message, bool line)
{
	json_t *json = json_of_message(message);

	json_dumpf(json, stdout, line ? JSON_COMPACT : JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

/* Moves the entries over, so that a large table is held once. */
static void collect_mac(Mclag__Control__Mac *all, Mclag__Control__Mac *piece)
{
	all->matched = piece->matched;
	if (piece->n_entries == 0)
		return;
	all->entries = reallocarray(all->entries, all->n_entries + piece->n_entries, sizeof(void *));
	if (all->entries == NULL)
		abort();
	memcpy(all->entries + all->n_entries, piece->entries, piece->n_entries * sizeof(void *));
	all->n_entries += piece->n_entries;
	piece->n_entries = 0;
}

static void forget_mac(Mclag__Control__Mac *all)
{
	for (size_t i = 0; i < all->n_entries; i++)
		mclag__control__mac_entry__free_unpacked(all->entries[i], NULL);
	free(all->entries);
}

static void print_events(struct asking *a, const Mclag__Control__Events *events)
{
	if (a->options->json) {
		for (size_t i = 0; i < events->n_events; i++)
			print_json(&events->events[i]->base, true);
		return;
	}
	if (!a->title)
		show_events_title(&a->sheet);
	a->title = true;
	show_events(&a->sheet, events);
}

/* A newer daemon's word, which is not known here, surely means nothing good. */
static int status_of(int word, int unknown)
{
	return word < 0 || word >= EXIT_CANNOT ? unknown : word;
}

static int take_answer(struct client_reader *reader, const Mclag__Control__Response *r)
{
	struct asking *a = (struct asking *)((char *)reader - offsetof(struct asking, reader));
	const ProtobufCMessage *whole = NULL; /* what --json prints */

	switch (r->answer_case) {
	case MCLAG__CONTROL__RESPONSE__ANSWER_STATUS:
		whole = &r->status->base;
		a->status = status_of((int)r->status->health, MCLAG__CONTROL__HEALTH__DEGRADED);
		if (!a->options->json)
			show_status(&a->sheet, r->status);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_PORTS:
		whole = &r->ports->base;
		if (!a->options->json)
			show_ports(&a->sheet, r->ports);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS:
		whole = &r->counters->base;
		if (!a->options->json)
			show_counters(&a->sheet, r->counters);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_WHAT_IF:
		whole = &r->what_if->base;
		a->status = status_of((int)r->what_if->impact, MCLAG__CONTROL__IMPACT__CUT);
		if (!a->options->json)
			show_whatif(&a->sheet, r->what_if);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_MAC:
		collect_mac(&a->mac, r->mac);
		if (r->more)
			return 0;
		whole = &a->mac.base;
		if (!a->options->json)
			show_mac(&a->sheet, &a->mac);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_EVENTS:
		print_events(a, r->events);
		break;
	case MCLAG__CONTROL__RESPONSE__ANSWER_ERROR:
	case MCLAG__CONTROL__RESPONSE__ANSWER__NOT_SET:
	case _MCLAG__CONTROL__RESPONSE__ANSWER__CASE_IS_INT_SIZE:
		break; /* client_ask() lets none of these through */
	}
	if (whole != NULL && a->options->json)
		print_json(whole, a->options->given & OPTION_WATCH);
	return fflush(stdout) == 0 ? 0 : -errno;
}

static int ask(const struct options *options, const Mclag__Control__Request *request)
{
	struct asking a = {.reader = {.answer = take_answer},
			   .options = options,
			   .sheet = sheet_of_stdout(),
			   .mac = MCLAG__CONTROL__MAC__INIT};
	char why[CLIENT_WHY_SIZE] = "";
	int result = client_ask(options->socket, request, &a.reader, why);

	forget_mac(&a.mac);
	if (result == 0)
		return a.status;
	fprintf(stderr, "mclagctl: %s\n", why[0] != '\0' ? why : strerror(-result));
	return EXIT_CANNOT;
}

/* With --watch: again and again, until a signal ends this process. */
static int ask_or_watch(const struct options *options, const Mclag__Control__Request *request)
{
	while (options->given & OPTION_WATCH) {
		if (!options->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		ask(options, request);
		sleep(1);
	}
	return ask(options, request);
}

/* --- commands ---------------------------------------------------------------------------------------- */

static int wrong(const char *format, const char *what)
{
	fputs("mclagctl: ", stderr);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(stderr, format, what);
#pragma GCC diagnostic pop
	fputs("; see mclagctl --help\n", stderr);
	return EXIT_CANNOT;
}

/* Decimal digits only. False when it is no number of 1..max. */
static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1 || value > max)
		return false;
	*number = value;
	return true;
}

static int run_status(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__StatusRequest status = MCLAG__CONTROL__STATUS_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;

	(void)arguments;
	(void)count;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_STATUS;
	request.status = &status;
	return ask_or_watch(options, &request);
}

static int run_ports(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__PortsRequest ports = MCLAG__CONTROL__PORTS_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;
	uint64_t id = 0;

	if (count > 0 && !parse_number(arguments[0], MCLAG_MAX, &id))
		return wrong("ports: %s is no mclag id, 1..65535", arguments[0]);
	ports.id = (uint32_t)id;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_PORTS;
	request.ports = &ports;
	return ask_or_watch(options, &request);
}

static int run_mac(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__MacRequest mac = MCLAG__CONTROL__MAC_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;
	char text[MAC_TEXT_SIZE];

	(void)arguments;
	(void)count;
	memcpy(text, options->mac, sizeof(text));
	mac.vlan = options->vlan;
	mac.mclag = options->mclag;
	mac.mac = text;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_MAC;
	request.mac = &mac;
	return ask(options, &request);
}

static int run_events(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__EventsRequest events = MCLAG__CONTROL__EVENTS_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;

	(void)arguments;
	(void)count;
	events.since = options->since;
	events.follow = (options->given & OPTION_FOLLOW) != 0;
	events.debug = (options->given & OPTION_DEBUG) != 0;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_EVENTS;
	request.events = &events;
	return ask(options, &request);
}

static int run_counters(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__CountersRequest counters = MCLAG__CONTROL__COUNTERS_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;

	(void)arguments;
	(void)count;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_COUNTERS;
	request.counters = &counters;
	return ask_or_watch(options, &request);
}

static int run_whatif(const struct options *options, char *const *arguments, int count)
{
	Mclag__Control__WhatIfRequest what_if = MCLAG__CONTROL__WHAT_IF_REQUEST__INIT;
	Mclag__Control__Request request = MCLAG__CONTROL__REQUEST__INIT;
	bool leg = count > 0 && strcmp(arguments[0], "leg-down") == 0;
	uint64_t id = 0;

	if (count == 0)
		return wrong(
		    "%s: what fails? leg-down ID, peer-link-down, backup-down, peer-dead or self-down",
		    "whatif");
	if (leg && (count != 2 || !parse_number(arguments[1], MCLAG_MAX, &id)))
		return wrong("whatif: %s takes an mclag id, 1..65535", arguments[0]);
	if (!leg && count != 1)
		return wrong("whatif: %s takes no id", arguments[0]);
	what_if.question = arguments[0];
	what_if.id = (uint32_t)id;
	request.ask_case = MCLAG__CONTROL__REQUEST__ASK_WHAT_IF;
	request.what_if = &what_if;
	return ask(options, &request);
}

static int run_pki(const struct options *options, char *const *arguments, int count)
{
	char why[KEYS_WHY_SIZE];

	(void)options;
	if (count != 2 || strcmp(arguments[0], "init") != 0)
		return wrong("%s: the one thing it does is: init DIR", "pki");
	if (keys_init(arguments[1], stdout, why, sizeof(why)) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "mclagctl: cannot make keys: %s\n", why);
	return EXIT_CANNOT;
}

static const struct command COMMANDS[] = {
    {"status", OPTION_WATCH, 0, run_status},
    {"ports", OPTION_WATCH, 1, run_ports},
    {"mac", OPTION_VLAN | OPTION_MAC | OPTION_MCLAG, 0, run_mac},
    {"events", OPTION_FOLLOW | OPTION_SINCE | OPTION_DEBUG, 0, run_events},
    {"counters", OPTION_WATCH, 0, run_counters},
    {"whatif", 0, 2, run_whatif},
    {"pki", 0, 2, run_pki},
};

static void usage(FILE *out)
{
	fputs("usage: mclagctl [--socket PATH] [--json] [COMMAND]\n"
	      "\n"
	      "  status [--watch]                        the pair on one screen; this is the default\n"
	      "  ports [ID] [--watch]                    both legs of each mclag, and LACP\n"
	      "  mac [--vlan N] [--mac ADDR] [--mclag ID]  the replicated MAC table\n"
	      "  events [--since N] [--debug] [--follow]   what happened, and why\n"
	      "  counters [--watch]                      messages, keepalives, PDUs, tables\n"
	      "  whatif leg-down ID | peer-link-down | backup-down | peer-dead | self-down\n"
	      "                                          what would happen; nothing is changed\n"
	      "  pki init DIR                            make both leaves' keys\n"
	      "\n"
	      "status exits with 0 healthy, 1 degraded, 2 down; whatif with 0 harmless, 1 felt, 2 cut;\n"
	      "every command with 3 when it could not be done.\n"
	      "mclagctl(8) tells more.\n",
	      out);
}

static int take_option(struct options *o, int option, const char *text)
{
	uint64_t number = 0;
	struct mac mac;

	switch (option) {
	case OPTION_SINCE:
		if (!parse_number(text, UINT64_MAX, &o->since))
			return wrong("--since: %s is no event's number", text);
		return 0;
	case OPTION_VLAN:
		if (!parse_number(text, VLAN_MAX, &number))
			return wrong("--vlan: %s is no VLAN id, 1..4094", text);
		o->vlan = (uint32_t)number;
		return 0;
	case OPTION_MCLAG:
		if (!parse_number(text, MCLAG_MAX, &number))
			return wrong("--mclag: %s is no mclag id, 1..65535", text);
		o->mclag = (uint32_t)number;
		return 0;
	case OPTION_MAC:
		if (mac_parse(text, &mac) < 0)
			return wrong("--mac: %s is no MAC address", text);
		mac_format(mac, o->mac);
		return 0;
	default:
		return 0;
	}
}

/* 0; or the exit status, when there is nothing more to do: *done. */
static int parse_options(struct options *o, int argc, char **argv, bool *done)
{
	static const struct option list[] = {
	    {"socket", required_argument, NULL, 's'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {"watch", no_argument, NULL, OPTION_WATCH},
	    {"follow", no_argument, NULL, OPTION_FOLLOW},
	    {"since", required_argument, NULL, OPTION_SINCE},
	    {"debug", no_argument, NULL, OPTION_DEBUG},
	    {"vlan", required_argument, NULL, OPTION_VLAN},
	    {"mac", required_argument, NULL, OPTION_MAC},
	    {"mclag", required_argument, NULL, OPTION_MCLAG},
	    {NULL, 0, NULL, 0},
	};
	int option, status = 0;

	while (!*done && (option = getopt_long(argc, argv, "s:jh", list, NULL)) != -1) {
		*done = option == 'h' || option == 'V' || option == '?';
		if (option == 's')
			o->socket = optarg;
		else if (option == 'j')
			o->json = true;
		else if (option == 'h')
			usage(stdout);
		else if (option == 'V')
			puts("mclagctl " MCLAGD_VERSION);
		else if (option == '?')
			status = EXIT_CANNOT; /* getopt has said why */
		else
			status = take_option(o, option, optarg);
		o->given |= *done || option == 's' || option == 'j' ? 0 : (unsigned)option;
		*done = *done || status != 0;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options options = {.socket = SOCKET_PATH};
	bool done = false;
	int status = parse_options(&options, argc, argv, &done);

	if (done)
		return status;
	const char *name = optind < argc ? argv[optind++] : "status";
	int count = argc - optind;

	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		const struct command *c = &COMMANDS[i];

		if (strcmp(name, c->name) != 0)
			continue;
		if (count > c->arguments)
			return wrong("%s takes no such argument", name);
		if (options.given & ~c->allowed)
			return wrong("%s does not take that option", name);
		return c->run(&options, argv + optind, count);
	}
	return wrong("there is no command %s", name);
}
