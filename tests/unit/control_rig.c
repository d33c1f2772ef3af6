/* SPDX-License-Identifier: ISC */
/*
 * control_rig.c - struct daemon as the control socket sees it, and clients that never block.
 *
 * clock_gettime() here takes the place of libc's in this process, so libevent's timeouts can be made to pass.
 */
#include "control_rig.h"

#include "core_test.h"
#include "ctl/keys.h"
#include "mclagd/control.h"
#include "peerlink/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 10000 /* real time a test waits for something before it fails */

struct daemon {
	struct config *config;
	struct domain *domain;
	struct ring *ring;
	struct tls *tls;
	struct peerlink *peerlink;
	struct keepalive *keepalive;
};

struct rig {
	struct daemon daemon;
	struct event_base *base;
	struct control *control;
	struct step step;
	struct peerlink_owner peerlink_owner;
	struct keepalive_owner keepalive_owner;
	char directory[64], socket[96];
};

static time_t passed; /* seconds, by rig_pass() */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += passed;
	return result;
}

/* --- the daemon -------------------------------------------------------------------------------------- */

const struct domain *daemon_domain(const struct daemon *d)
{
	return d->domain;
}

struct domain *daemon_copied_domain(struct daemon *d)
{
	return d->domain;
}

const struct config *daemon_config(const struct daemon *d)
{
	return d->config;
}

struct ring *daemon_ring(struct daemon *d)
{
	return d->ring;
}

const struct peerlink *daemon_peerlink(const struct daemon *d)
{
	return d->peerlink;
}

const struct keepalive *daemon_keepalive(const struct daemon *d)
{
	return d->keepalive;
}

void daemon_switch_counters(const struct daemon *d, struct switch_counters *counters)
{
	(void)d;
	*counters = (struct switch_counters){.link_messages = 1, .lacpdu_errors = 2};
}

struct msec daemon_now(const struct daemon *d)
{
	(void)d;
	return (struct msec){10000};
}

bool daemon_journal(const struct daemon *d, struct journal_counters *c)
{
	*c = (struct journal_counters){.recording = true, .events = 3, .bytes = 200};
	return d->domain != NULL;
}

struct msec daemon_started(const struct daemon *d)
{
	(void)d;
	return (struct msec){5000};
}

static void opened(struct peerlink_owner *owner, int path)
{
	(void)owner;
	(void)path;
}

static void closed(struct peerlink_owner *owner, enum peerlink_reason reason, const char *text)
{
	(void)owner;
	(void)reason;
	(void)text;
}

static void frame(struct peerlink_owner *owner, const uint8_t *bytes, size_t len)
{
	(void)owner;
	(void)bytes;
	(void)len;
}

static void writable(struct peerlink_owner *owner)
{
	(void)owner;
}

static void heard(struct keepalive_owner *owner, int path, const struct keepalive_heard *word)
{
	(void)owner;
	(void)path;
	(void)word;
}

static void discovered(struct keepalive_owner *owner, int path, const struct sockaddr_storage *remote)
{
	(void)owner;
	(void)path;
	(void)remote;
}

static void make_config(struct daemon *d)
{
	static const char text[] =
	    "domain: 1\nnode: 1\nsystem-mac: 02:00:00:00:00:aa\nbridge: br0\n"
	    "peer-link: {port: swp49, via: swp49.4094}\n"
	    "backup-paths:\n- {name: mgmt, address: 127.0.0.1, peer: 127.0.0.2}\n"
	    "keys:\n  certificate: /c\n  key: /k\n  peer-pins-file: /p\n  keepalive-secret: /s\n"
	    "mclags:\n- {id: 1, port: swp1}\n- {id: 7, port: swp7, lacp: static}\n";
	char why[SOURCE_WHY_SIZE];

	if (config_parse(&d->config, "rig", text, sizeof(text) - 1, why) < 0)
		fail_msg("%s", why);
}

/* The rooms that talk to the peer, with keys of their own, and nobody at the other end. */
static void make_rooms(struct rig *rig)
{
	struct path paths[2] = {{.name = "peer-link"}, {.name = "mgmt"}};
	char why[KEYS_WHY_SIZE], certificate[96], key[96];
	struct keepalive_config keepalive = {
	    .node = 1, .boot = 1, .paths = paths, .path_count = 2, .owner = &rig->keepalive_owner};
	struct peerlink_config peerlink = {.node = 1,
					   .paths = paths,
					   .path_count = 2,
					   .greeting_limit = MESSAGE_HELLO_LIMIT,
					   .frame_limit = MESSAGE_LIMIT,
					   .owner = &rig->peerlink_owner};
	struct pin pin = {{0}};
	struct tls_config tls = {.cert_file = certificate, .key_file = key, .pins = &pin, .pin_count = 1};
	FILE *nowhere = fopen("/dev/null", "w");

	assert_non_null(nowhere);
	if (keys_init(rig->directory, nowhere, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	fclose(nowhere);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(address_parse("127.0.0.1", &paths[i].local), 0);
		assert_int_equal(address_parse("127.0.0.2", &paths[i].remote), 0);
		paths[i].port = 59110;
		keepalive.interval_ms[i] = KEEPALIVE_INTERVAL_MAX_MS;
	}
	snprintf(certificate, sizeof(certificate), "%s/leaf1/cert.pem", rig->directory);
	snprintf(key, sizeof(key), "%s/leaf1/key.pem", rig->directory);
	if (tls_create(&tls, &rig->daemon.tls, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	rig->peerlink_owner = (struct peerlink_owner){opened, closed, frame, writable, closed};
	rig->keepalive_owner = (struct keepalive_owner){heard, heard, discovered};
	peerlink.tls = rig->daemon.tls;
	rig->daemon.peerlink = peerlink_create(rig->base, &peerlink);
	rig->daemon.keepalive = keepalive_create(rig->base, &keepalive);
}

static void step(struct rig *rig, const struct event *e)
{
	rig->step.now = daemon_now(&rig->daemon);
	domain_step(rig->daemon.domain, &rig->step, e);
	step_clear(&rig->step);
}

static void make_domain(struct rig *rig)
{
	static const struct mclag_config mclags[] = {
	    {.id = 1, .speaker = SPEAKER_ENGINE, .active = true, .fast = true},
	    {.id = 7, .speaker = SPEAKER_STATIC}};
	const struct domain_config config = config_for(1, mclags, 2);

	rig->daemon.domain = domain_create(&config, NULL);
	step(rig, &(struct event){.kind = EVENT_START});
	step(rig, &(struct event){.kind = EVENT_LINK, .link = {{.kind = PLACE_PEER_LINK}, true, 100000}});
	step(rig,
	     &(struct event){.kind = EVENT_LINK, .link = {{.kind = PLACE_LEG, .mclag = 1}, true, 10000}});
	step(rig, &(struct event){.kind = EVENT_LINK, .link = {{.kind = PLACE_LEG, .mclag = 7}, false, 0}});
}

struct rig *rig_create(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char why[256];

	assert_non_null(rig);
	signal(SIGPIPE, SIG_IGN); /* as control.h asks of its process */
	snprintf(rig->directory, sizeof(rig->directory), "/tmp/mclagd-control-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(rig->socket, sizeof(rig->socket), "%s/mclagd.sock", rig->directory);
	rig->base = event_base_new();
	assert_non_null(rig->base);
	assert_int_equal(event_base_priority_init(rig->base, 3), 0);
	rig->daemon.ring = ring_create(RIG_LINES);
	make_config(&rig->daemon);
	make_domain(rig);
	make_rooms(rig);
	if (control_open(&rig->control, rig->base, &rig->daemon, rig->socket, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return rig;
}

static void remove_keys(const char *directory)
{
	static const char *const names[] = {"cert.pem", "key.pem", "peer.pin", "keepalive.secret", ""};
	char file[128];

	for (int leaf = 1; leaf <= 2; leaf++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			snprintf(file, sizeof(file), "%s/leaf%d/%s", directory, leaf, names[i]);
			assert_int_equal(names[i][0] != '\0' ? unlink(file) : rmdir(file), 0);
		}
}

void rig_destroy(struct rig *rig)
{
	control_close(rig->control);
	keepalive_destroy(rig->daemon.keepalive);
	peerlink_destroy(rig->daemon.peerlink);
	tls_destroy(rig->daemon.tls);
	domain_destroy(rig->daemon.domain);
	step_release(&rig->step);
	ring_destroy(rig->daemon.ring);
	config_free(rig->daemon.config);
	event_base_free(rig->base);
	remove_keys(rig->directory);
	assert_int_equal(rmdir(rig->directory), 0); /* the socket is gone too */
	free(rig);
}

struct event_base *rig_base(struct rig *rig)
{
	return rig->base;
}

struct daemon *rig_daemon(struct rig *rig)
{
	return &rig->daemon;
}

const char *rig_socket(const struct rig *rig)
{
	return rig->socket;
}

const char *rig_directory(const struct rig *rig)
{
	return rig->directory;
}

void rig_turn(struct rig *rig)
{
	/* Accept, read, write and what follows from each are turns of their own. */
	for (int i = 0; i < 8; i++)
		assert_true(event_base_loop(rig->base, EVLOOP_NONBLOCK) >= 0);
}

void rig_pass(struct rig *rig, int seconds)
{
	rig_turn(rig);
	passed += seconds;
	rig_turn(rig);
}

static void sighting(struct rig *rig, uint64_t number, uint16_t vlan, struct place place,
		     enum sighting sighting)
{
	step(rig, &(struct event){.kind = EVENT_ENTRY,
				  .entry = {mac_number(0x1000000 + number), vlan, place, sighting}});
}

static struct place orphan(void)
{
	return (struct place){.kind = PLACE_ORPHAN, .port = (int32_t)if_nametoindex("lo")};
}

void rig_learn(struct rig *rig, uint32_t first, uint32_t end, uint16_t vlan)
{
	const struct place place = orphan();

	for (uint32_t n = first; n < end; n++)
		sighting(rig, n, vlan, place, SIGHTING_LEARNED);
}

void rig_forget(struct rig *rig, uint32_t first, uint32_t end, uint16_t vlan)
{
	const struct place place = orphan();

	for (uint32_t n = first; n < end; n++)
		sighting(rig, n, vlan, place, SIGHTING_GONE);
}

void rig_learn_on_leg(struct rig *rig, uint32_t number, uint16_t mclag)
{
	sighting(rig, number, 1, (struct place){.kind = PLACE_LEG, .mclag = mclag}, SIGHTING_LEARNED);
}

void rig_say(struct rig *rig, enum trace_level level, const char *text)
{
	struct trace trace = {.room = TRACE_DOMAIN, .level = level};

	snprintf(trace.text, sizeof(trace.text), "%s", text);
	ring_add(rig->daemon.ring, daemon_now(&rig->daemon), 1780000000000000, &trace);
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t rig_memory(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

Mclag__Control__ControlCounters rig_control(struct rig *rig)
{
	struct caller c = caller_open(rig);

	caller_ask_counters(&c);
	Mclag__Control__Response *r = caller_expect(&c, MCLAG__CONTROL__RESPONSE__ANSWER_COUNTERS);
	Mclag__Control__ControlCounters counters = *r->counters->control;

	mclag__control__response__free_unpacked(r, NULL);
	caller_close(&c);
	rig_turn(rig);
	return counters;
}

/* --- a client ---------------------------------------------------------------------------------------- */

struct caller caller_open(struct rig *rig)
{
	struct caller c = {.rig = rig, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_true(c.fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->socket);
	assert_int_equal(connect(c.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return c;
}

void caller_close(struct caller *c)
{
	close(c->fd);
	free(c->bytes);
	*c = (struct caller){.fd = -1};
}

void caller_shut(struct caller *c)
{
	/* The other end may have closed already. */
	assert_true(shutdown(c->fd, SHUT_WR) == 0 || errno == ENOTCONN);
}

void caller_send(struct caller *c, const void *bytes, size_t size)
{
	assert_int_equal(send(c->fd, bytes, size, MSG_NOSIGNAL), size);
}

static void send_request(struct caller *c, const Mclag__Control__Request *request)
{
	uint8_t bytes[256];
	size_t size = mclag__control__request__get_packed_size(request);

	assert_true(FRAME_HEAD + size <= sizeof(bytes));
	frame_head(bytes, size);
	mclag__control__request__pack(request, bytes + FRAME_HEAD);
	caller_send(c, bytes, FRAME_HEAD + size);
}

void caller_ask_status(struct caller *c)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__StatusRequest status = MCLAG__CONTROL__STATUS_REQUEST__INIT;

	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_STATUS;
	r.status = &status;
	send_request(c, &r);
}

void caller_ask_ports(struct caller *c, uint32_t id)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__PortsRequest ports = MCLAG__CONTROL__PORTS_REQUEST__INIT;

	ports.id = id;
	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_PORTS;
	r.ports = &ports;
	send_request(c, &r);
}

void caller_ask_counters(struct caller *c)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__CountersRequest counters = MCLAG__CONTROL__COUNTERS_REQUEST__INIT;

	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_COUNTERS;
	r.counters = &counters;
	send_request(c, &r);
}

void caller_ask_whatif(struct caller *c, const char *question, uint32_t id)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__WhatIfRequest what_if = MCLAG__CONTROL__WHAT_IF_REQUEST__INIT;
	char text[64];

	snprintf(text, sizeof(text), "%s", question);
	what_if.question = text;
	what_if.id = id;
	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_WHAT_IF;
	r.what_if = &what_if;
	send_request(c, &r);
}

void caller_ask_mac(struct caller *c, uint32_t vlan, const char *mac, uint32_t mclag)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__MacRequest table = MCLAG__CONTROL__MAC_REQUEST__INIT;
	char text[64];

	snprintf(text, sizeof(text), "%s", mac);
	table.vlan = vlan;
	table.mac = text;
	table.mclag = mclag;
	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_MAC;
	r.mac = &table;
	send_request(c, &r);
}

void caller_ask_events(struct caller *c, uint64_t since, bool follow, bool debug)
{
	Mclag__Control__Request r = MCLAG__CONTROL__REQUEST__INIT;
	Mclag__Control__EventsRequest events = MCLAG__CONTROL__EVENTS_REQUEST__INIT;

	events.since = since;
	events.follow = follow;
	events.debug = debug;
	r.ask_case = MCLAG__CONTROL__REQUEST__ASK_EVENTS;
	r.events = &events;
	send_request(c, &r);
}

static int64_t real_ms(void)
{
	struct timespec now;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the socket has, if anything. */
static void read_some(struct caller *c)
{
	uint8_t bytes[65536];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n > 0) {
		c->bytes = realloc(c->bytes, c->size + (size_t)n);
		assert_non_null(c->bytes);
		memcpy(c->bytes + c->size, bytes, (size_t)n);
		c->size += (size_t)n;
	} else if (n == 0 || errno == ECONNRESET) {
		c->ended = true;
	} else {
		assert_int_equal(errno, EAGAIN);
	}
}

Mclag__Control__Response *caller_receive(struct caller *c)
{
	const int64_t deadline = real_ms() + DEADLINE_MS;
	struct frame frame;

	for (;;) {
		enum frame_status status = frame_cut(c->bytes, c->size, CONTROL_RESPONSE_LIMIT, &frame);

		if (status == FRAME_READY) {
			Mclag__Control__Response *r =
			    mclag__control__response__unpack(NULL, frame.len, frame.payload);

			assert_non_null(r);
			c->size -= frame.whole;
			memmove(c->bytes, c->bytes + frame.whole, c->size);
			return r;
		}
		assert_int_equal(status, FRAME_MORE);
		if (c->ended) {
			assert_int_equal(c->size, 0); /* nothing was cut off */
			return NULL;
		}
		if (real_ms() > deadline)
			fail_msg("no answer in %d ms", DEADLINE_MS);
		rig_turn(c->rig);
		poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1);
		read_some(c);
	}
}

Mclag__Control__Response *caller_expect(struct caller *c, Mclag__Control__Response__AnswerCase kind)
{
	Mclag__Control__Response *r = caller_receive(c);

	if (r == NULL) {
		fail_msg("the stream ended");
		abort(); /* not reached */
	}
	if (r->answer_case == MCLAG__CONTROL__RESPONSE__ANSWER_ERROR && kind != r->answer_case)
		fail_msg("%s", r->error->text);
	assert_int_equal(r->answer_case, kind);
	return r;
}

void caller_expect_error(struct caller *c, const char *text)
{
	Mclag__Control__Response *r = caller_expect(c, MCLAG__CONTROL__RESPONSE__ANSWER_ERROR);

	assert_string_equal(r->error->text, text);
	mclag__control__response__free_unpacked(r, NULL);
}

void caller_expect_end(struct caller *c)
{
	Mclag__Control__Response *r = caller_receive(c);

	if (r != NULL)
		fail_msg("an answer of kind %d instead of the end", (int)r->answer_case);
}
