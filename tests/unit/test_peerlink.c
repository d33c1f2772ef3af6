/* SPDX-License-Identifier: ISC */
/* The session between two leaves: dialling, closing, moving, back-pressure, callbacks that act, interfaces
 * that come late. */
#include "session_world.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- sessions -------------------------------------------------------------------------------- */

static void dials_and_talks(void **state)
{
	struct leaf one, two;
	char why[700];
	(void)state;
	for (int path = 0; path < PATHS; path++) {
		start_plain(&one, 1);
		start_plain(&two, 2);
		assert_int_equal(send_text(&one, "nobody"), -ENOTCONN);
		assert_int_equal(peerlink_room(one.p), 0);
		connect_both(&one, &two, path);
		assert_int_equal(peerlink_path(one.p), path);
		assert_int_equal(peerlink_path(two.p), path);
		peerlink_why(one.p, why, sizeof(why));
		assert_string_equal(why, "");
		assert_true(send_text(&one, "hello") > 0);
		assert_true(send_text(&one, "again") > 0);
		assert_true(send_text(&two, "welcome") > 0);
		UNTIL(two.frames == 2 && one.frames == 1);
		assert_string_equal(one.trace, path ? "+1 welcome" : "+0 welcome");
		assert_string_equal(two.trace, path ? "+1 hello again" : "+0 hello again");
		const struct peerlink_counters *c = peerlink_counters(one.p);
		assert_int_equal(c->dialled, 1);
		assert_int_equal(c->opened, 1);
		assert_int_equal(c->accepted, 1);
		assert_int_equal(c->frames_out, 2);
		assert_int_equal(c->bytes_out, 10);
		assert_int_equal(c->frames_in, 1);
		assert_int_equal(c->bytes_in, 7);
		assert_int_equal(peerlink_counters(two.p)->arrived, 1);
		stop(&one);
		stop(&two);
	}
	peerlink_destroy(NULL);
}

static void sends_within_limits_only(void **state)
{
	struct leaf one, two;
	uint8_t *most = calloc(1, FRAME_LIMIT + 1);
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	assert_int_equal(peerlink_send(one.p, most, 0), -EMSGSIZE);
	assert_int_equal(peerlink_send(one.p, most, FRAME_LIMIT + 1), -EMSGSIZE);
	assert_true(peerlink_send(one.p, most, FRAME_LIMIT) >= 0);
	UNTIL(two.frames == 1);
	assert_int_equal(two.bytes, FRAME_LIMIT);
	free(most);
	stop(&one);
	stop(&two);
}

static void a_close_is_said_and_flushed(void **state)
{
	struct leaf leaves[3], *one = &leaves[1], *two = &leaves[2];
	uint8_t *bulk = calloc(1, 200000);
	(void)state;
	for (int closer = 1; closer <= 2; closer++) {
		struct leaf *here = &leaves[closer], *there = &leaves[3 - closer];
		start_plain(one, 1);
		start_plain(two, 2);
		connect_both(one, two, PEER_LINK);
		/* a queue in both directions; the goodbye must come through behind ours, whatever is unread
		 * of theirs */
		assert_true(peerlink_send(here->p, bulk, 200000) >= 0);
		assert_true(peerlink_send(there->p, bulk, 200000) >= 0);
		assert_true(send_text(here, "goodbye") >= 0);
		CALL(here, peerlink_close(here->p, "restarting for an upgrade"));
		CALL(here, peerlink_close(here->p, "twice"));
		assert_int_equal(send_text(here, "late"), -ENOTCONN);
		assert_int_equal(peerlink_path(here->p), PATH_NONE);
		assert_false(peerlink_idle(here->p)); /* the goodbye is still on its way */
		assert_true(here->up);
		CALL(one, peerlink_use(one->p, PATH_NONE));
		UNTIL(!one->up && !two->up);
		assert_true(peerlink_idle(here->p) && peerlink_idle(there->p));
		assert_string_equal(here->trace, "+0 -CLOSED_HERE");
		assert_string_equal(here->text, "restarting for an upgrade");
		assert_string_equal(there->trace, "+0 (long) goodbye -CLOSED_PEER");
		assert_int_equal(peerlink_counters(there->p)->ended[PEERLINK_CLOSED_PEER], 1);
		stop(one);
		stop(two);
	}
	free(bulk);
}

static void a_lost_session_is_dialled_again(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	CALL(&two, peerlink_close(two.p, "go away"));
	UNTIL(one.opened == 2 && two.opened == 2);
	assert_string_equal(one.trace, "+0 -CLOSED_PEER +0");
	assert_string_equal(two.trace, "+0 -CLOSED_HERE +0");
	/* the other end vanishes without a word and comes back */
	stop(&two);
	UNTIL(!one.up);
	start_plain(&two, 2);
	UNTIL(one.up && two.up);
	/* told to stop, it stays down: a whole round of the other end's making passes without a dial */
	CALL(&one, peerlink_use(one.p, PATH_NONE));
	uint64_t dialled = peerlink_counters(one.p)->dialled;
	CALL(&two, peerlink_close(two.p, "go away"));
	UNTIL(!one.up && !two.up);
	struct raw r = raw_connect("127.0.0.9");
	raw_bytes(&r, GARBAGE, strlen(GARBAGE));
	PUMP_UNTIL(&r, two.refused == 1);
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled);
	CALL(&one, peerlink_retry_now(one.p));
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled);
	raw_close(&r);
	stop(&one);
	stop(&two);
}

static void the_session_moves_to_another_path(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	connect_both(&one, &two, PEER_LINK);
	CALL(&one, peerlink_use(one.p, MGMT));
	assert_int_equal(peerlink_path(one.p), PEER_LINK); /* until the new one is open */
	UNTIL(peerlink_path(one.p) == MGMT && peerlink_path(two.p) == MGMT && one.up && two.up);
	assert_true(send_text(&one, "over here") > 0);
	UNTIL(two.frames == 1);
	assert_string_equal(one.trace, "+0 -REPLACED +1");
	/* the old one's end and the new one's beginning race on the listening end; both are an end and a
	 * beginning */
	assert_true(strcmp(two.trace, "+0 -REPLACED +1 over here") == 0 ||
		    strcmp(two.trace, "+0 -CLOSED_PEER +1 over here") == 0);
	assert_non_null(strstr(one.text, "replaced by connect ::1 port"));
	/* a path that does not answer leaves the session where it is */
	struct sockaddr_storage nobody;
	set_address(&nobody, "127.0.0.77");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &nobody));
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.refused >= 3);
	assert_true(one.up);
	assert_int_equal(peerlink_path(one.p), MGMT);
	/* and when it moves, the dialler follows */
	set_address(&nobody, "127.0.0.2");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &nobody));
	UNTIL(peerlink_path(one.p) == PEER_LINK && peerlink_path(two.p) == PEER_LINK);
	stop(&one);
	stop(&two);
}

static void a_newer_authenticated_session_replaces(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	struct raw first = raw_tls("127.0.0.1", tls_of[1]), second = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&first, two.up);
	PUMP_UNTIL(&second, two.opened == 2);
	assert_string_equal(two.trace, "+0 -REPLACED +0");
	PUMP_UNTIL(&first, first.gone);
	raw_frame(&second, "mine");
	PUMP_UNTIL(&second, two.frames == 1);
	/* one that only begins, or is not the peer, replaces nothing */
	struct raw idle = raw_connect("127.0.0.1"), stranger = raw_tls("127.0.0.1", tls_of[3]);
	PUMP_UNTIL(&stranger, two.refused == 1);
	assert_int_equal(two.reason, PEERLINK_IDENTITY);
	assert_true(two.up);
	raw_close(&first);
	raw_close(&second);
	raw_close(&idle);
	raw_close(&stranger);
	stop(&two);
}

/* --- dialling -------------------------------------------------------------------------------- */

static void an_unreachable_peer_is_tried_with_growing_waits(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	char why[700];
	(void)state;
	make_paths(paths, 1);
	struct peerlink_config config = default_config(paths, 1);
	config.backoff_min_ms = 20;
	config.backoff_max_ms = 100;
	start(&one, config);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	CALL(&one, peerlink_use(one.p, PEER_LINK)); /* no second dial */
	assert_int_equal(peerlink_counters(one.p)->dialled, 1);
	UNTIL(one.refused == 6);
	assert_int_equal(one.reason, PEERLINK_UNREACHABLE);
	peerlink_why(one.p, why, sizeof(why));
	char expected[200];
	snprintf(expected, sizeof(expected),
		 "connect 127.0.0.2 port %u over peer link: Connection refused; next try in 0.", port);
	if (strncmp(why, expected, strlen(expected)) != 0)
		fail_msg("'%s' is not '%s'", why, expected);
	/* At least half of 20, 40, 80, 100, 100: 170 together, were libevent's clock not a turn of the loop behind.
	 * Waits that do not grow come to 100 at the most. */
	assert_true(one.refused_at[5] - one.refused_at[0] > 100);
	/* once the peer is heard there is no waiting, and the back-off is small again after it is accepted */
	start_plain(&two, 2);
	uint64_t dialled = peerlink_counters(one.p)->dialled;
	CALL(&one, peerlink_retry_now(one.p));
	assert_int_equal(peerlink_counters(one.p)->dialled, dialled + 1);
	UNTIL(one.up && two.up);
	assert_int_equal(one.refused, 6);
	stop(&one);
	stop(&two);
}

static void a_peer_without_address_waits_for_discovery(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	struct sockaddr_storage found;
	(void)state;
	make_paths(paths, 1);
	paths[PEER_LINK].remote.ss_family = 0;
	struct peerlink_config config = default_config(paths, 1);
	config.backoff_min_ms = config.backoff_max_ms =
	    10 * DEADLINE_MS; /* it is not the next try that helps */
	start(&one, config);
	start_plain(&two, 2);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.refused == 1);
	assert_non_null(strstr(one.text, "the peer's address is not known yet"));
	set_address(&found, "127.0.0.2");
	CALL(&one, peerlink_set_remote(one.p, PEER_LINK, &found));
	UNTIL(one.up && two.up);
	stop(&one);
	stop(&two);
}

static void the_wrong_key_is_refused_and_backed_off(void **state)
{
	struct leaf one, two;
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 1);
	struct peerlink_config config = default_config(paths, 1);
	config.tls = tls_of[3];
	start(&one, config);
	one.accept_all = false; /* as the owner does without a Hello */
	start_plain(&two, 2);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(two.refused >= 2 && one.closed + one.refused >= 2);
	assert_int_equal(two.reason, PEERLINK_IDENTITY);
	assert_non_null(strstr(two.text, "its pin is not configured"));
	assert_int_equal(one.reason, PEERLINK_IDENTITY);
	assert_non_null(strstr(one.text, "the peer refuses our certificate"));
	assert_int_equal(two.opened, 0);
	/* the listener bears no grudge */
	stop(&one);
	start_plain(&one, 1);
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.up && two.up);
	stop(&one);
	stop(&two);
}

/* --- back-pressure --------------------------------------------------------------------------- */

/* Send numbered frames while there is room, until the kernel takes no more either. Returns how many. */
static uint32_t send_until_stalled(struct leaf *leaf, uint8_t *frame, size_t len)
{
	uint32_t sent = 0;
	for (uint32_t before = UINT32_MAX; peerlink_room(leaf->p) > 0 || before != sent;) {
		before = sent;
		for (int room = 1; room > 0 && peerlink_room(leaf->p) > 0; sent++) {
			memcpy(frame, &sent, sizeof(sent));
			CALL(leaf, room = peerlink_send(leaf->p, frame, len));
			assert_true(room >= 0);
		}
		for (int i = 0; i < 20; i++)
			event_base_loop(base, EVLOOP_ONCE);
	}
	return sent;
}

static void a_peer_that_does_not_read_costs_bounded_memory(void **state)
{
	struct leaf two;
	static uint8_t frame[50000], got[1 << 16];
	(void)state;
	start_plain(&two, 2);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	r.deaf = true;

	uint32_t sent = send_until_stalled(&two, frame, sizeof(frame));
	int room;
	assert_int_equal(peerlink_room(two.p), 0);
	/* urgent frames still go, up to the hard limit, which is the most that is ever held */
	uint32_t stalled_at = sent;
	int called = two.writable;
	do {
		memcpy(frame, &sent, sizeof(sent));
		CALL(&two, room = peerlink_send(two.p, frame, sizeof(frame)));
		sent += room >= 0;
	} while (room >= 0);
	assert_int_equal(room, -ENOBUFS);
	assert_true((sent - stalled_at) * sizeof(frame) <=
		    PEERLINK_QUEUE_HARD - PEERLINK_QUEUE_HIGH + sizeof(frame));
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(two.writable, called);

	/* It reads again: all of it comes, in order, and `writable` comes once. */
	uint32_t next = 0;
	size_t have = 0;
	r.deaf = false;
	static uint8_t stream[2 * (sizeof(frame) + FRAME_HEAD) + sizeof(got)];
	for (int64_t give_up = now_ms() + DEADLINE_MS; next < sent;) {
		assert_true(now_ms() < give_up);
		event_base_loop(base, EVLOOP_NONBLOCK);
		raw_pump(&r);
		for (int n; (n = SSL_read(r.ssl, got, sizeof(got))) > 0;) {
			struct frame cut;
			memcpy(stream + have, got, (size_t)n);
			have += (size_t)n;
			while (frame_cut(stream, have, sizeof(frame), &cut) == FRAME_READY) {
				assert_int_equal(cut.len, sizeof(frame));
				assert_memory_equal(cut.payload, &next, sizeof(next));
				next++;
				memmove(stream, stream + cut.whole, have -= cut.whole);
			}
		}
	}
	UNTIL(two.writable == called + 1);
	assert_int_equal(peerlink_room(two.p), PEERLINK_QUEUE_HIGH);
	send_text(&two, "and a little more");
	raw_close(&r);
	UNTIL(!two.up);
	assert_int_equal(two.writable, called + 1);
	stop(&two);
}

static void a_goodbye_to_a_peer_that_does_not_read_ends_in_time(void **state)
{
	struct leaf two;
	static uint8_t frame[FRAME_LIMIT];
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 2);
	struct peerlink_config config = default_config(paths, 2);
	config.linger_ms = 50;
	start(&two, config);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	r.deaf = true;
	while (peerlink_send(two.p, frame, sizeof(frame)) >= 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CALL(&two, peerlink_close(two.p, "too slow"));
	assert_true(two.up); /* it lingers */
	UNTIL(!two.up);
	assert_int_equal(two.reason, PEERLINK_CLOSED_HERE);
	assert_string_equal(two.text, "too slow");
	raw_close(&r);
	stop(&two);
}

/* --- callbacks that do things ---------------------------------------------------------------- */

static void callbacks_may_close_and_move(void **state)
{
	struct leaf one, two;
	(void)state;
	start_plain(&one, 1);
	start_plain(&two, 2);
	two.close_on_open = "not today";
	CALL(&one, peerlink_use(one.p, PEER_LINK));
	UNTIL(one.closed >= 2 && two.closed >= 2); /* opened, closed, dialled again */
	two.close_on_open = NULL;
	UNTIL(one.up && two.up);
	/* of two frames in one record only the first is handed on when its callback closes */
	two.close_on_frame = "enough";
	one.use_on_closed = MGMT;
	size_t before = two.frames;
	send_text(&one, "first");
	send_text(&one, "second");
	UNTIL(peerlink_path(one.p) == MGMT && peerlink_path(two.p) == MGMT);
	assert_int_equal(two.frames, before + 1);
	/* destroyed with a close under way */
	CALL(&one, peerlink_close(one.p, "bye"));
	stop(&one);
	stop(&two);
}

/* --- interfaces that come late --------------------------------------------------------------- */

static bool quietly(const char *command)
{
	return system(command) == 0;
}

static void listens_as_soon_as_the_interface_is_there(void **state)
{
	struct leaf two;
	struct path path = {.name = "peer link", .interface = "late0", .port = 5911};
	char why[700];
	(void)state;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0) {
		close(home);
		skip();
	}
	assert_true(quietly("ip link set lo up"));
	set_address(&path.local, "192.0.2.2"); /* nobody has it yet either */
	struct peerlink_config config = default_config(&path, 2);
	config.path_count = 1;
	start(&two, config);
	peerlink_why(two.p, why, sizeof(why));
	assert_string_equal(
	    why, "waiting for the peer to connect; peer link: cannot bind to the interface: No such device");
	for (int round = 0; round < 2; round++) {
		assert_true(quietly("ip link add late0 type veth peer name far0 && ip link set late0 up && "
				    "ip addr add 192.0.2.2/24 dev late0"));
		UNTIL((peerlink_why(two.p, why, sizeof(why)), strstr(why, "cannot") == NULL));
		assert_true(quietly("ss -Hltn | grep -q '192.0.2.2%late0:5911'"));
		assert_true(quietly("ip link del late0"));
		UNTIL((peerlink_why(two.p, why, sizeof(why)), strstr(why, "No such device") != NULL));
	}
	stop(&two);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* Both ends of a cable in one namespace: link-local addresses, scopes left to the interface, hop limit 255.
 */
static void a_session_over_link_local_addresses(void **state)
{
	struct leaf one, two;
	struct path left = {.name = "peer link", .interface = "left", .port = 5911, .direct = true},
		    right = left;
	struct sockaddr_storage found;
	(void)state;
	strcpy(right.interface, "right");
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0) {
		close(home);
		skip();
	}
	assert_true(
	    quietly("ip link add left type veth peer name right && ip link set left addrgenmode none && "
		    "ip link set right addrgenmode none && ip link set left up && ip link set right up && "
		    "ip addr add fe80::1/64 dev left nodad && ip addr add fe80::2/64 dev right nodad"));
	struct peerlink_config config = default_config(&left, 1);
	config.path_count = 1;
	start(&one, config);
	config = default_config(&right, 2);
	config.path_count = 1;
	start(&two, config);
	CALL(&one, peerlink_use(one.p, 0));
	set_address(&found, "fe80::2");
	CALL(&one, peerlink_set_remote(one.p, 0, &found));
	UNTIL(one.up && two.up);
	send_text(&one, "hello");
	UNTIL(two.frames == 1);
	stop(&one);
	stop(&two);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(dials_and_talks),
	    TEST(sends_within_limits_only),
	    TEST(a_close_is_said_and_flushed),
	    TEST(a_lost_session_is_dialled_again),
	    TEST(the_session_moves_to_another_path),
	    TEST(a_newer_authenticated_session_replaces),
	    TEST(an_unreachable_peer_is_tried_with_growing_waits),
	    TEST(a_peer_without_address_waits_for_discovery),
	    TEST(the_wrong_key_is_refused_and_backed_off),
	    TEST(a_peer_that_does_not_read_costs_bounded_memory),
	    TEST(a_goodbye_to_a_peer_that_does_not_read_ends_in_time),
	    TEST(callbacks_may_close_and_move),
	    TEST(listens_as_soon_as_the_interface_is_there),
	    TEST(a_session_over_link_local_addresses),
	};
	return cmocka_run_group_tests(tests, world_keys, world_drop_keys);
}
