/* SPDX-License-Identifier: ISC */
/*
 * Keepalives on real sockets, where the peer is a `fake` that can do what no leaf would. The interval is 10 s
 * unless a test is about the schedule, so that whatever arrives came at once because of something.
 */
#include "peerlink/datagram.h"
#include "peerlink/keepalive.h"
#include "peerlink/stream.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 20000
#define MS          1000 /* in us */

static const struct secret secret = {{1, 2, 3, 4, 5}};

#define OURS   100
#define FIRST  200 /* the peer's boot ids, in the order it lived through them */
#define SECOND 300

static struct event_base *base;
static struct event *heartbeat;
static uint16_t port;

static int64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#define UNTIL(condition)                                                                                     \
	for (int64_t give_up = clock_us() + DEADLINE_MS * MS; !(condition);) {                               \
		if (clock_us() > give_up)                                                                    \
			fail_msg("not in time: %s", #condition);                                             \
		event_base_loop(base, EVLOOP_ONCE);                                                          \
	}

struct leaf {
	struct keepalive_owner owner;
	struct keepalive *k;
	int heard, restarted, conflicts, discovered;
	int hears_us;
	struct keepalive_heard last; /* without its payload: */
	char payload[KEEPALIVE_PAYLOAD_MAX + 1];
	struct sockaddr_storage remote;
};

static struct leaf *leaf_of(struct keepalive_owner *owner)
{
	return (struct leaf *)((char *)owner - offsetof(struct leaf, owner));
}

static void on_heard(struct keepalive_owner *owner, int path, const struct keepalive_heard *heard)
{
	struct leaf *leaf = leaf_of(owner);
	assert_int_equal(path, 0);
	leaf->heard++;
	leaf->restarted += heard->restarted;
	leaf->hears_us += heard->hears_us;
	leaf->last = *heard;
	leaf->last.payload = NULL;
	snprintf(leaf->payload, sizeof(leaf->payload), "%.*s", (int)heard->payload_len,
		 (const char *)heard->payload);
}

static void on_conflict(struct keepalive_owner *owner, int path, const struct keepalive_heard *heard)
{
	assert_int_equal(path, 0);
	assert_true(heard->hears_us);
	leaf_of(owner)->conflicts++;
}

static void on_discovered(struct keepalive_owner *owner, int path, const struct sockaddr_storage *remote)
{
	assert_int_equal(path, 0);
	leaf_of(owner)->discovered++;
	leaf_of(owner)->remote = *remote;
}

static struct path loopback(int node)
{
	struct path path = {.name = "peer link", .port = port};
	address_parse(node == 1 ? "127.0.0.1" : "127.0.0.2", &path.local);
	address_parse(node == 1 ? "127.0.0.2" : "127.0.0.1", &path.remote);
	return path;
}

static void start(struct leaf *leaf, uint8_t node, uint64_t boot, unsigned interval_ms,
		  const struct path *path)
{
	*leaf =
	    (struct leaf){.owner = {.heard = on_heard, .conflict = on_conflict, .discovered = on_discovered}};
	leaf->k = keepalive_create(base, &(struct keepalive_config){.node = node,
								    .boot = boot,
								    .secret = secret,
								    .paths = path,
								    .path_count = 1,
								    .interval_ms = {interval_ms},
								    .owner = &leaf->owner});
}

static struct keepalive_stats stats_of(const struct leaf *leaf)
{
	struct keepalive_stats stats;
	keepalive_stats(leaf->k, 0, &stats);
	return stats;
}

/* Leaf 2 as we like it: at 127.0.0.2, facing a leaf 1 at 127.0.0.1. */
struct fake {
	int fd;
	struct stream stream;
	struct keepalive_datagram form;  /* node, path, flags of what it sends */
	struct keepalive_datagram heard; /* the last it got */
	uint8_t sent[KEEPALIVE_MAX];     /* the last it sent */
	size_t sent_len;
};

static void fake_open(struct fake *fake, uint64_t boot, const char *address, int ttl)
{
	struct path path = {.name = "fake", .port = port};
	char why[256];
	*fake = (struct fake){.form = {.node = 2}};
	address_parse(address, &path.local);
	fake->fd = path_socket(&path, SOCK_DGRAM, port, why, sizeof(why));
	assert_true(fake->fd >= 0);
	assert_int_equal(setsockopt(fake->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 0);
	stream_init(&fake->stream, boot);
}

static void fake_again(const struct fake *fake)
{
	struct sockaddr_storage to;
	address_parse("127.0.0.1", &to);
	((struct sockaddr_in *)&to)->sin_port = htons(port);
	ssize_t done = sendto(fake->fd, fake->sent, fake->sent_len, 0, (struct sockaddr *)&to,
			      sizeof(struct sockaddr_in));
	assert_int_equal(done, fake->sent_len);
}

/* Sends; what it heard last is echoed even when it does not believe it, as a challenge does. */
static void fake_send(struct fake *fake)
{
	struct keepalive_datagram d = fake->form;
	stream_next(&fake->stream, clock_us(), fake->heard.boot ? &fake->heard : NULL, &d);
	fake->sent_len = keepalive_encode(&d, &secret, fake->sent);
	fake_again(fake);
}

/* The datagrams that wait for it; `heard` is the last one. */
static int fake_receive(struct fake *fake)
{
	uint8_t bytes[KEEPALIVE_MAX];
	int count = 0;
	for (ssize_t got; (got = recv(fake->fd, bytes, sizeof(bytes), 0)) >= 0; count++)
		assert_int_equal(keepalive_decode(bytes, (size_t)got, &secret, &fake->heard), KEEPALIVE_FINE);
	return count;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* only wakes the loop, for conditions outside of it */
}

static int set_up(void **state)
{
	struct timeval often = {.tv_usec = 1000};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(any);
	(void)state;
	base = event_base_new();
	event_base_priority_init(base, 3);
	heartbeat = event_new(base, -1, EV_PERSIST, on_heartbeat, NULL);
	event_add(heartbeat, &often);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
	port = ntohs(any.sin_port);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_free(heartbeat);
	event_base_free(base);
	return 0;
}

static void two_leaves_hear_each_other(void **state)
{
	struct leaf one, two;
	struct path paths[] = {loopback(1), loopback(2)};
	(void)state;
	start(&one, 1, OURS, 10, &paths[0]);
	start(&two, 2, FIRST, 10, &paths[1]);
	keepalive_set_payload(two.k, (const uint8_t *)"primary", 7);
	UNTIL(one.heard >= 20 && two.heard >= 20 && strcmp(one.payload, "primary") == 0);
	assert_int_equal(one.last.node, 2);
	assert_int_equal(one.last.boot, FIRST);
	assert_true(one.last.hears_us);
	assert_int_equal(one.restarted, 1);
	assert_int_equal(two.restarted, 1);
	assert_int_equal(two.payload[0], '\0');
	assert_true(one.last.rtt_us >= 0 && one.last.age_us >= one.last.rtt_us);
	struct keepalive_stats stats = stats_of(&one);
	assert_int_equal(stats.heard, one.heard);
	assert_int_equal(stats.lost, 0);
	assert_int_equal(stats.send_errors, 0);
	assert_int_equal(stats.error, 0);
	assert_true(stats.rtt_us >= 0 && stats.jitter_us >= 0 && stats.known);
	for (int i = 0; i < KEEPALIVE_DROP_COUNT; i++) /* the first words, before either was proven */
		assert_true(stats.dropped[i] == 0 || i == KEEPALIVE_STALE_BOOT);
	keepalive_destroy(one.k);
	keepalive_destroy(two.k);
	keepalive_destroy(NULL);
}

/* Make leaf 1 believe the fake: it challenges the first word, and the answer proves. */
static void befriend(struct leaf *one, struct fake *fake)
{
	int before = one->heard + one->conflicts;
	memset(&fake->heard, 0, sizeof(fake->heard));
	UNTIL(stats_of(one).sent > 0); /* its socket is open */
	fake_send(fake);
	UNTIL(fake_receive(fake) > 0 && fake->heard.echo_boot == fake->stream.boot);
	assert_int_equal(fake->heard.flags, KEEPALIVE_PROBE);
	fake_send(fake);
	UNTIL(one->heard + one->conflicts == before + 1);
}

static void a_probe_is_answered_at_once_and_not_without_end(void **state)
{
	struct leaf one;
	struct fake fake;
	struct path path = loopback(1);
	(void)state;
	start(&one, 1, OURS, 10000, &path);
	fake_open(&fake, FIRST, "127.0.0.2", 64);
	befriend(&one, &fake);
	fake.form.flags = KEEPALIVE_PROBE;
	fake_send(&fake);
	UNTIL(fake_receive(&fake) == 1);
	assert_int_equal(fake.heard.flags, 0);
	assert_int_equal(fake.heard.echo_sequence, fake.stream.sequence);
	/* a datagram that does not ask is not answered; neither is the same probe again */
	uint64_t sent = stats_of(&one).sent;
	int heard = one.heard;
	fake_again(&fake);
	fake.form.flags = 0;
	fake_send(&fake);
	UNTIL(one.heard == heard + 1);
	assert_int_equal(stats_of(&one).sent, sent);
	assert_int_equal(stats_of(&one).dropped[KEEPALIVE_REPLAYED], 1);
	/* a hundred at once */
	fake.form.flags = KEEPALIVE_PROBE;
	int64_t began = clock_us();
	for (int i = 0; i < 100; i++)
		fake_send(&fake);
	UNTIL(one.heard == heard + 101);
	assert_true((int64_t)(stats_of(&one).sent - sent) <= 11 + (clock_us() - began) / (10 * MS));
	/* and the other way round */
	fake_receive(&fake);
	keepalive_probe(one.k, 0);
	UNTIL(fake_receive(&fake) == 1);
	assert_int_equal(fake.heard.flags, KEEPALIVE_PROBE);
	keepalive_send_now(one.k);
	UNTIL(fake_receive(&fake) == 1);
	assert_int_equal(fake.heard.flags, 0);
	close(fake.fd);
	keepalive_destroy(one.k);
}

static void a_restarted_peer_is_believed_and_its_old_life_is_not(void **state)
{
	struct leaf one;
	struct fake first, second;
	struct path path = loopback(1);
	(void)state;
	start(&one, 1, OURS, 10000, &path);
	fake_open(&first, FIRST, "127.0.0.2", 64);
	befriend(&one, &first);
	fake_send(&first); /* the last word of its first life */
	UNTIL(one.heard == 2);
	close(first.fd);
	fake_open(&second, SECOND, "127.0.0.2", 64);
	befriend(&one, &second);
	assert_int_equal(one.last.boot, SECOND);
	assert_int_equal(one.restarted, 2);
	/* its first life is played back: word for word, and in words that were never heard here */
	int heard = one.heard;
	uint64_t stale = stats_of(&one).dropped[KEEPALIVE_STALE_BOOT];
	first.fd = second.fd;
	fake_again(&first);
	fake_send(&first);
	UNTIL(stats_of(&one).dropped[KEEPALIVE_STALE_BOOT] == stale + 2);
	fake_send(&second);
	UNTIL(one.heard == heard + 1);
	assert_int_equal(one.last.boot, SECOND);
	assert_int_equal(one.restarted, 2);
	close(second.fd);
	keepalive_destroy(one.k);
}

static void two_leaves_with_one_number_conflict(void **state)
{
	struct leaf one;
	struct fake fake;
	struct path path = loopback(1);
	(void)state;
	start(&one, 1, OURS, 10000, &path);
	fake_open(&fake, FIRST, "127.0.0.2", 64);
	fake.form.node = 1;
	befriend(&one, &fake);
	assert_int_equal(one.conflicts, 1);
	assert_int_equal(one.heard, 0);
	assert_int_equal(stats_of(&one).dropped[KEEPALIVE_CONFLICT], 1);
	assert_int_equal(stats_of(&one).heard, 0);
	/* our own words, thrown back: not a conflict */
	fake.stream.boot = OURS;
	fake_send(&fake);
	UNTIL(stats_of(&one).dropped[KEEPALIVE_REFLECTED] == 1);
	assert_int_equal(one.conflicts, 1);
	close(fake.fd);
	keepalive_destroy(one.k);
}

static void strangers_are_dropped_and_counted(void **state)
{
	struct leaf one;
	struct fake peer, stranger;
	struct path path = loopback(1);
	(void)state;
	path.direct = true;
	start(&one, 1, OURS, 10000, &path);
	fake_open(&peer, FIRST, "127.0.0.2", 255);
	fake_open(&stranger, FIRST, "127.0.0.3", 255);
	befriend(&one, &peer);
	const struct keepalive_stats before = stats_of(&one);
	int heard = one.heard;

	fake_send(&stranger); /* rightly signed, from elsewhere */
	UNTIL(stats_of(&one).dropped[KEEPALIVE_BAD_ADDRESS] == 1);

	int far = 254, near = 255;
	setsockopt(peer.fd, IPPROTO_IP, IP_TTL, &far, sizeof(far));
	fake_send(&peer);
	UNTIL(stats_of(&one).dropped[KEEPALIVE_BAD_HOPS] == 1);
	setsockopt(peer.fd, IPPROTO_IP, IP_TTL, &near, sizeof(near));

	peer.form.path = 1;
	fake_send(&peer);
	UNTIL(stats_of(&one).dropped[KEEPALIVE_BAD_PATH] == 1);
	peer.form.path = 0;

	memset(peer.sent, 0, sizeof(peer.sent));
	for (size_t i = 1; i <= 3; i++) { /* of all zeros: too short, not ours, and as long as can be */
		peer.sent_len = i == 1 ? 0 : i == 2 ? 100 : KEEPALIVE_MAX;
		fake_again(&peer);
		UNTIL(stats_of(&one).dropped[KEEPALIVE_BAD_LENGTH] +
			  stats_of(&one).dropped[KEEPALIVE_BAD_MAGIC] ==
		      i);
	}
	uint8_t huge[9000] = {0};
	struct sockaddr_storage to;
	address_parse("127.0.0.1", &to);
	((struct sockaddr_in *)&to)->sin_port = htons(port);
	assert_int_equal(
	    sendto(peer.fd, huge, sizeof(huge), 0, (struct sockaddr *)&to, sizeof(struct sockaddr_in)),
	    sizeof(huge));
	UNTIL(stats_of(&one).dropped[KEEPALIVE_OVERSIZE] == 1);

	assert_int_equal(one.heard, heard);
	assert_int_equal(stats_of(&one).sent, before.sent); /* and nothing of it was answered */
	fake_send(&peer);
	UNTIL(one.heard == heard + 1);
	close(peer.fd);
	close(stranger.fd);
	keepalive_destroy(one.k);
}

static void a_flood_is_read_at_a_bounded_rate(void **state)
{
	struct leaf one;
	struct fake fake;
	struct path path = loopback(1);
	(void)state;
	start(&one, 1, OURS, 10, &path);
	fake_open(&fake, FIRST, "127.0.0.2", 64);
	befriend(&one, &fake);
	int64_t began = clock_us();
	uint64_t sent = stats_of(&one).sent, flood = 0;
	struct fake noise = fake;
	memset(noise.sent, 0, sizeof(noise.sent));
	noise.sent_len = KEEPALIVE_HEAD + KEEPALIVE_MAC;
	while (stats_of(&one).sent < sent + 20) { /* more than it will ever read, for twenty of its ticks */
		for (int i = 0; i < 50; i++, flood++)
			fake_again(&noise);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	int64_t took = clock_us() - began;
	struct keepalive_stats stats = stats_of(&one);
	assert_true(stats.throttled > 0);
	assert_true(stats.dropped[KEEPALIVE_BAD_MAGIC] < flood);
	assert_true((int64_t)stats.dropped[KEEPALIVE_BAD_MAGIC] <= 257 + took / 500);
	/* when it is over the peer is heard again */
	int heard = one.heard;
	UNTIL((fake_send(&fake), one.heard > heard));
	close(fake.fd);
	keepalive_destroy(one.k);
}

/* Sends that were less than 20 ms late. */
static uint64_t punctual_of(const struct leaf *leaf)
{
	struct keepalive_stats stats = stats_of(leaf);
	return stats.late[0] + stats.late[1] + stats.late[2] + stats.late[3] + stats.late[4];
}

static void the_schedule_does_not_drift(void **state)
{
	struct leaf one;
	struct path path = loopback(1);
	(void)state;
	int64_t began = clock_us();
	start(&one, 1, OURS, 10, &path);
	UNTIL(stats_of(&one).sent >= 10);
	for (int64_t busy = clock_us() + 55 * MS; clock_us() < busy;) /* the loop is held up for five ticks */
		;
	UNTIL(stats_of(&one).sent >= 11);
	uint64_t punctual = punctual_of(&one);
	UNTIL(stats_of(&one).sent >= 30);
	assert_true(punctual_of(&one) > punctual); /* lateness is not carried along */
	struct keepalive_stats stats = stats_of(&one);
	int64_t due = 1 + (clock_us() - began) / (10 * MS);
	assert_true(stats.missed >= 4);
	assert_in_range(stats.sent + stats.missed, due - 1, due);
	uint64_t ticks = 0;
	for (int i = 0; i < KEEPALIVE_LATE_BUCKETS; i++)
		ticks += stats.late[i];
	assert_int_equal(ticks, stats.sent);
	keepalive_destroy(one.k);
}

static void lateness_is_counted(void **state)
{
	struct leaf one;
	struct path path = loopback(1);
	(void)state;
	start(&one, 1, OURS, 1000, &path);
	for (int64_t busy = clock_us() + 12 * MS; clock_us() < busy;)
		;
	UNTIL(stats_of(&one).sent == 1);
	struct keepalive_stats stats = stats_of(&one);
	assert_int_equal(stats.missed, 0);
	for (int i = 0; i < 4; i++) /* below 10 ms */
		assert_int_equal(stats.late[i], 0);
	assert_int_equal(stats.late[4] + stats.late[5] + stats.late[6] + stats.late[7], 1);
	keepalive_destroy(one.k);
}

/* --- discovery, on a veth pair in a namespace of its own ------------------------------------- */

static bool quietly(const char *command)
{
	return system(command) == 0;
}

static bool make_cable(void)
{
	return quietly(
	    "ip link add left type veth peer name right && sysctl -qw net.ipv6.conf.left.accept_dad=0 "
	    "net.ipv6.conf.right.accept_dad=0 && ip link set left up && ip link set right up");
}

static bool is_address(const struct sockaddr_storage *address, const char *text)
{
	struct sockaddr_storage other;
	return address_parse(text, &other) == 0 && address_same_host(address, &other);
}

static void a_peer_is_discovered_and_found_again(void **state)
{
	struct leaf one, two;
	struct path left = {.name = "peer link", .interface = "left", .port = 5911, .direct = true},
		    right = left;
	(void)state;
	strcpy(right.interface, "right");
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0) {
		close(home);
		skip();
	}
	start(&one, 1, OURS, 10, &left);
	start(&two, 2, FIRST, 10, &right);
	UNTIL(stats_of(&one).error == ENODEV); /* nothing there yet */
	assert_true(make_cable());
	UNTIL(one.hears_us > 5 && two.hears_us > 5);
	assert_int_equal(one.discovered, 1);
	assert_int_equal(two.discovered, 1);
	assert_true(stats_of(&one).known);
	assert_int_equal(((struct sockaddr_in6 *)&one.remote)->sin6_port, htons(5911));
	assert_int_equal(((struct sockaddr_in6 *)&one.remote)->sin6_scope_id, if_nametoindex("left"));

	/* the peer comes back with another address: it asks the group, and we learn from its first proven
	 * word */
	keepalive_destroy(two.k);
	assert_true(
	    quietly("ip -6 addr flush dev right scope link && ip -6 addr add fe80::99/64 dev right nodad"));
	start(&two, 2, SECOND, 10, &right);
	UNTIL(one.discovered == 2 && one.last.boot == SECOND && two.hears_us > 5);
	assert_true(is_address(&one.remote, "fe80::99"));

	/* the cable is made anew, with other addresses and indexes: the sockets follow, and so does the rest
	 */
	assert_true(quietly("ip link del left"));
	UNTIL(stats_of(&one).error != 0);
	assert_true(make_cable());
	one.hears_us = two.hears_us = 0;
	UNTIL(one.hears_us > 5 && two.hears_us > 5);
	assert_true(one.discovered >= 3 && two.discovered >= 2);
	keepalive_destroy(one.k);
	keepalive_destroy(two.k);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(two_leaves_hear_each_other),
	    TEST(a_probe_is_answered_at_once_and_not_without_end),
	    TEST(a_restarted_peer_is_believed_and_its_old_life_is_not),
	    TEST(two_leaves_with_one_number_conflict),
	    TEST(strangers_are_dropped_and_counted),
	    TEST(a_flood_is_read_at_a_bounded_rate),
	    TEST(the_schedule_does_not_drift),
	    TEST(lateness_is_counted),
	    TEST(a_peer_is_discovered_and_found_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
