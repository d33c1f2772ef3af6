/* SPDX-License-Identifier: ISC */
/*
 * probe: what happens to every single frame between hosts.
 *
 * One process owns all ends: it makes its sockets inside the hosts' network namespaces and stays outside, so
 * that sent and received are compared exactly, without any conversation between the ends. One loop, one clock
 * (CLOCK_MONOTONIC): wake at the next due time, send what is due, read what came, settle what is old enough.
 *
 * Life of a run: warm-up (one frame in every flow and round, until every listener heard every flow: addresses
 * are resolved, MACs learned), counting in intervals (SIGUSR1 closes one and begins the next), the end by
 * --seconds or SIGINT/SIGTERM (sending stops, the last interval is drained), the total.
 *
 * Exit status: 0 nothing lost, duplicated or returned; 1 something was; 2 usage or system error; 3 some flow
 * got no frame through during the warm-up.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define STREAMS        32
#define ENDPOINTS      32
#define GRAIN          ((nsec)250000) /* wake-ups are not closer than this */
#define WARM_UP_ROUND  ((nsec)50000000)
#define LINGER         ((nsec)100000000)
#define QUIET          ((nsec)100000000)
#define WINDOW_SECONDS 4
#define SECOND         ((nsec)1000000000)

struct options {
	const char *a[STREAMS], *b[STREAMS], *broadcast, *listen[STREAM_LISTENERS], *watch[STREAM_LISTENERS];
	uint32_t a_count, b_count, listen_count, watch_count;
	uint32_t rate, flows, size, port;
	double seconds, warm_up, drain;
	bool json;
};

struct probe {
	struct options options;
	struct report report;
	struct stream streams[STREAMS];
	uint32_t stream_count;
	struct endpoint *endpoints[ENDPOINTS];
	uint32_t endpoint_count;
	struct mark mark;
	int epoll, timer, signals;
	bool counting; /* not warming up any more */
	bool stopping; /* SIGINT or SIGTERM came */
	bool marking;  /* SIGUSR1 came and its interval is not closed yet */
	bool closing;  /* an interval is being drained */
	nsec closed_at;
};

static const char usage[] =
    "usage: probe [--a NETNS:ADDRESS --b NETNS:ADDRESS]... [--broadcast NETNS:IFACE --listen "
    "NETNS:IFACE...]\n"
    "             [--rate FRAMES/S] [--flows N] [--seconds S] [--size BYTES] [--port FIRST] [--warm-up S]\n"
    "             [--drain S] [--json]\n"
    "Each --a/--b pair exchanges frames in both directions; --rate is per direction (1000), --flows is per\n"
    "direction (64), --listen expects every broadcast, --watch expects none, --seconds 0 runs until SIGINT "
    "or SIGTERM (0); SIGUSR1 closes an interval and reports "
    "it.\n";

static nsec monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (nsec)now.tv_sec * SECOND + (nsec)now.tv_nsec;
}

static void fail(const char *why)
{
	fprintf(stderr, "probe: %s\n", why);
	exit(2);
}

static double number(const char *text, double low, double high)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= low && value <= high)) {
		fprintf(stderr, "probe: '%s' is not a number in %g..%g\n%s", text, low, high, usage);
		exit(2);
	}
	return value;
}

/* NETNS:WHAT, and nothing that would have to be escaped in the output. */
static const char *place(const char *text)
{
	if (!strchr(text, ':') || strlen(text) > 100 || strpbrk(text, "\"\\\n\t"))
		fail("expected NETNS:ADDRESS or NETNS:IFACE");
	return text;
}

static const char *add(const char **list, uint32_t *count, uint32_t limit, const char *text)
{
	if (*count == limit)
		fail("too many places");
	return list[(*count)++] = place(text);
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
	    {"a", 1, 0, 'a'},      {"b", 1, 0, 'b'},       {"broadcast", 1, 0, 'B'},
	    {"listen", 1, 0, 'l'}, {"watch", 1, 0, 'W'},   {"rate", 1, 0, 'r'},
	    {"flows", 1, 0, 'f'},  {"seconds", 1, 0, 's'}, {"size", 1, 0, 'z'},
	    {"port", 1, 0, 'p'},   {"warm-up", 1, 0, 'w'}, {"drain", 1, 0, 'd'},
	    {"json", 0, 0, 'j'},   {"help", 0, 0, 'h'},    {0},
	};
	int option;

	*options =
	    (struct options){.rate = 1000, .flows = 64, .size = 64, .port = 20000, .warm_up = 10, .drain = 2};
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'a')
			add(options->a, &options->a_count, STREAMS / 2 - 1, optarg);
		else if (option == 'b')
			add(options->b, &options->b_count, STREAMS / 2 - 1, optarg);
		else if (option == 'B')
			options->broadcast = place(optarg);
		else if (option == 'l')
			add(options->listen, &options->listen_count, STREAM_LISTENERS - 1, optarg);
		else if (option == 'W')
			add(options->watch, &options->watch_count, STREAM_LISTENERS, optarg);
		else if (option == 'r')
			options->rate = (uint32_t)number(optarg, 1, 1000000);
		else if (option == 'f')
			options->flows = (uint32_t)number(optarg, 1, 1024);
		else if (option == 's')
			options->seconds = number(optarg, 0, 1e6);
		else if (option == 'z')
			options->size = (uint32_t)number(optarg, ENDPOINT_PAYLOAD_MIN, ENDPOINT_PAYLOAD_MAX);
		else if (option == 'p')
			options->port = (uint32_t)number(optarg, 1024, 40000);
		else if (option == 'w')
			options->warm_up = number(optarg, 0, 3600);
		else if (option == 'd')
			options->drain = number(optarg, 0.1, WINDOW_SECONDS - 1);
		else if (option == 'j')
			options->json = true;
		else {
			fputs(usage, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (optind < argc || options->a_count != options->b_count ||
	    (options->broadcast && !options->listen_count) ||
	    options->a_count + (options->broadcast != NULL) == 0) {
		fputs(usage, stderr);
		exit(2);
	}
}

/* Split NETNS:WHAT at its first colon (an IPv6 address has more of them). */
static const char *split(const char *text, char netns[128])
{
	snprintf(netns, 128, "%.*s", (int)strcspn(text, ":"), text);
	return strchr(text, ':') + 1;
}

static struct endpoint *opened(struct probe *probe, struct endpoint *endpoint, const char *why)
{
	uint32_t id = probe->endpoint_count;

	if (!endpoint)
		fail(why);
	if (id == ENDPOINTS)
		fail("too many places");
	probe->endpoints[probe->endpoint_count++] = endpoint;
	for (uint32_t i = 0; i < endpoint_count(endpoint); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)id << 32 | i};

		if (epoll_ctl(probe->epoll, EPOLL_CTL_ADD, endpoint_fd(endpoint, i), &event) < 0)
			fail(strerror(errno));
	}
	return endpoint;
}

static struct stream *new_stream(struct probe *probe, struct endpoint *sender)
{
	struct stream *stream = &probe->streams[probe->stream_count];

	*stream = (struct stream){
	    .sender = sender,
	    .id = probe->stream_count++,
	    .flows = probe->options.flows,
	    .size = probe->options.size,
	    .spacing = SECOND / probe->options.rate,
	};
	return stream;
}

static void open_pair(struct probe *probe, uint32_t number)
{
	const struct options *options = &probe->options;
	const char *a = options->a[number], *b = options->b[number];
	char a_netns[128], b_netns[128], name[STREAM_NAME], why[512];
	const char *a_address = split(a, a_netns), *b_address = split(b, b_netns);
	uint16_t port = (uint16_t)(options->port + number * options->flows);
	struct endpoint *from, *to;

	from = opened(
	    probe, endpoint_udp(a_netns, a_address, b_address, port, options->flows, why, sizeof(why)), why);
	to = opened(probe,
		    endpoint_udp(b_netns, b_address, a_address, port, options->flows, why, sizeof(why)), why);
	snprintf(name, sizeof(name), "%s>%s", a, b);
	stream_listen(new_stream(probe, from), to, false, name);
	snprintf(name, sizeof(name), "%s>%s", b, a);
	stream_listen(new_stream(probe, to), from, false, name);
}

static void open_broadcast(struct probe *probe)
{
	const struct options *options = &probe->options;
	char netns[128], name[STREAM_NAME], why[512];
	const char *iface = split(options->broadcast, netns);
	uint16_t port = (uint16_t)(options->port - 1);
	struct endpoint *sender = opened(probe, endpoint_raw(netns, iface, port, why, sizeof(why)), why);
	struct stream *stream = new_stream(probe, sender);

	for (uint32_t i = 0; i < options->listen_count; i++) {
		iface = split(options->listen[i], netns);
		snprintf(name, sizeof(name), "%s>%s", options->broadcast, options->listen[i]);
		stream_listen(stream, opened(probe, endpoint_raw(netns, iface, port, why, sizeof(why)), why),
			      false, name);
	}
	snprintf(name, sizeof(name), "%s>%s", options->broadcast, options->broadcast);
	stream_listen(stream, sender, true, name);
}

static void read_signals(struct probe *probe)
{
	struct signalfd_siginfo info;

	while (read(probe->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			probe->marking = probe->counting;
		else
			probe->stopping = true;
	}
}

static void read_endpoint(struct probe *probe, const struct endpoint *endpoint, uint32_t socket)
{
	struct mark marks[ENDPOINT_BATCH];
	int more = 1;

	while (more) {
		uint32_t count = endpoint_receive(endpoint, socket, marks, &more);
		nsec now = monotonic();

		for (uint32_t i = 0; i < count; i++)
			if (marks[i].run == probe->mark.run && marks[i].epoch == probe->mark.epoch &&
			    marks[i].stream < probe->stream_count)
				stream_received(&probe->streams[marks[i].stream], endpoint, &marks[i], now,
						probe->counting);
	}
}

/* Sleep until `wake` or until something came, and take in what came. */
static void wait_until(struct probe *probe, nsec wake)
{
	struct itimerspec when = {.it_value = {(time_t)(wake / SECOND), (long)(wake % SECOND)}};
	struct epoll_event events[64];
	uint64_t expirations;
	int count;

	timerfd_settime(probe->timer, TFD_TIMER_ABSTIME, &when, NULL);
	count = epoll_wait(probe->epoll, events, 64, -1);
	for (int i = 0; i < count; i++) {
		uint32_t id = (uint32_t)(events[i].data.u64 >> 32);

		if (id == ENDPOINTS)
			(void)!read(probe->timer, &expirations, sizeof(expirations));
		else if (id > ENDPOINTS)
			read_signals(probe);
		else
			read_endpoint(probe, probe->endpoints[id], (uint32_t)events[i].data.u64);
	}
}

static bool all_warm(const struct probe *probe, bool complain)
{
	bool all = true;

	for (uint32_t i = 0; i < probe->stream_count; i++) {
		if (stream_warmed(&probe->streams[i]))
			continue;
		all = false;
		if (complain)
			fprintf(stderr, "probe: no frame in some flow of %s\n",
				probe->streams[i].listeners[0].name);
	}
	return all;
}

/* Returns whether every flow works. */
static bool warm_up(struct probe *probe)
{
	nsec deadline = monotonic() + (nsec)(probe->options.warm_up * 1e9), next = 0;

	if (probe->options.warm_up == 0)
		return true;
	while (!all_warm(probe, false)) {
		nsec now = monotonic();

		if (now >= deadline || probe->stopping)
			return all_warm(probe, true);
		if (now >= next) {
			for (uint32_t i = 0; i < probe->stream_count; i++)
				stream_warm(&probe->streams[i], &probe->mark);
			next = now + WARM_UP_ROUND;
		}
		wait_until(probe, next);
	}
	return true;
}

static uint32_t window(uint32_t rate)
{
	uint32_t frames = 1024;

	while (frames < rate * WINDOW_SECONDS)
		frames *= 2;
	return frames;
}

static void begin_counting(struct probe *probe)
{
	struct account_limits limits = {
	    .window = window(probe->options.rate),
	    .linger = LINGER,
	    .drain = (nsec)(probe->options.drain * 1e9),
	    .quiet = QUIET,
	};
	nsec start = monotonic();

	probe->mark.epoch = 1;
	probe->counting = true;
	for (uint32_t i = 0; i < probe->stream_count; i++)
		stream_count(&probe->streams[i], &limits,
			     start + i * (SECOND / probe->options.rate) / probe->stream_count);
	report_running(&probe->report, start);
}

/* Settle; report the closing interval once all of it is settled. */
static void settle(struct probe *probe, nsec now)
{
	bool all = true;

	for (uint32_t i = 0; i < probe->stream_count; i++)
		all = stream_settle(&probe->streams[i], now) && all;
	if (!probe->closing || !all)
		return;
	probe->closing = false;
	report_interval(&probe->report, probe->streams, probe->stream_count, probe->closed_at);
}

static void close_interval(struct probe *probe, nsec now)
{
	for (uint32_t i = 0; i < probe->stream_count; i++)
		stream_mark(&probe->streams[i]);
	probe->closing = true;
	probe->marking = false;
	probe->closed_at = now;
}

/* Returns how long it sent, in seconds. */
static double count(struct probe *probe)
{
	nsec start = monotonic(), now = start, end;

	end = probe->options.seconds > 0 ? start + (nsec)(probe->options.seconds * 1e9) : UINT64_MAX;
	while (now < end && !probe->stopping) {
		nsec next = UINT64_MAX;

		for (uint32_t i = 0; i < probe->stream_count; i++) {
			stream_send(&probe->streams[i], &probe->mark, now);
			if (probe->streams[i].due < next)
				next = probe->streams[i].due;
		}
		if (probe->marking && !probe->closing)
			close_interval(probe, now);
		settle(probe, now);
		wait_until(probe, next < now + GRAIN ? now + GRAIN : next);
		now = monotonic();
	}
	end = now;
	for (bool last = false; !last || probe->closing; now = monotonic()) {
		if (!probe->closing) {
			close_interval(probe, now);
			last = true;
		}
		settle(probe, now);
		wait_until(probe, now + 5 * GRAIN);
	}
	return (double)(end - start) / 1e9;
}

static void watch(struct probe *probe, int fd, uint32_t id)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)id << 32};

	if (fd < 0 || epoll_ctl(probe->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail(strerror(errno));
}

static void start(struct probe *probe)
{
	struct rlimit files = {65536, 65536};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	probe->epoll = epoll_create1(EPOLL_CLOEXEC);
	probe->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	probe->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	watch(probe, probe->timer, ENDPOINTS);
	watch(probe, probe->signals, ENDPOINTS + 1);
	probe->mark.magic = MARK_MAGIC;
	if (getrandom(&probe->mark.run, sizeof(probe->mark.run), 0) != sizeof(probe->mark.run))
		fail("no random number");
}

int main(int argc, char **argv)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	bool bad;
	int status;

	if (!probe)
		abort();
	parse(&probe->options, argc, argv);
	probe->report.json = probe->options.json;
	start(probe);
	for (uint32_t i = 0; i < probe->options.a_count; i++)
		open_pair(probe, i);
	if (probe->options.broadcast)
		open_broadcast(probe);
	if (warm_up(probe)) {
		double seconds;

		begin_counting(probe);
		seconds = count(probe);
		bad = report_total(&probe->report, probe->streams, probe->stream_count, seconds);
		status = bad ? 1 : 0;
	} else {
		status = 3;
	}
	for (uint32_t i = 0; i < probe->stream_count; i++)
		stream_clear(&probe->streams[i]);
	for (uint32_t i = 0; i < probe->endpoint_count; i++)
		endpoint_close(probe->endpoints[i]);
	close(probe->epoll);
	close(probe->timer);
	close(probe->signals);
	free(probe);
	return status;
}
