/* SPDX-License-Identifier: ISC */
/* What others can do to the session's port: bytes, connections, frames that are not what they should be, and
 * too many. */
#include "session_world.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void bytes_that_are_not_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool then_close;
		const char *text;
	} rows[] = {
	    {GARBAGE, sizeof(GARBAGE) - 1, false, "does not begin with a TLS ClientHello"},
	    {"\x16\x03\x01\x01\x00\x02\x00\x00\xfc", 9, false, "does not begin with a TLS ClientHello"},
	    {"\x16\x03\x01\xff\xff\x01\x01\xff\xff", 9, false,
	     "does not begin with a TLS ClientHello"}, /* 128 KiB */
	    {"\x16\x03\x01", 3, true, "closed before a TLS ClientHello"},
	    {"", 0, true, "closed before a TLS ClientHello"},
	    {"\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03 and no more", 24, true, ""},
	    {"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x7f\x7f\x7f\x7f", 13, false, ""},
	};
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw r = raw_connect("127.0.0.9");
		raw_bytes(&r, rows[i].bytes, rows[i].size);
		if (rows[i].then_close)
			shutdown(r.fd, SHUT_WR);
		PUMP_UNTIL(&r, two.refused == (int)i + 1 && r.gone);
		assert_int_equal(two.reason, PEERLINK_HANDSHAKE);
		assert_non_null(strstr(two.text, "connection from 127.0.0.9 port "));
		if (!strstr(two.text, rows[i].text))
			fail_msg("row %zu: %s", i, two.text);
		raw_close(&r);
	}
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_HANDSHAKE], sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(two.opened, 0);
	stop(&two);
}

static void one_byte_at_a_time(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	r.chunk = 1;
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	raw_frame(&r, "s");
	raw_frame(&r, "lowly");
	PUMP_UNTIL(&r, two.frames == 2);
	/* and each byte of a frame in a TLS record of its own */
	static const uint8_t frame[] = {0, 0, 0, 3, 'a', 'b', 'c'};
	for (size_t i = 0; i < sizeof(frame); i++)
		raw_write(&r, frame + i, 1);
	PUMP_UNTIL(&r, two.frames == 3);
	assert_string_equal(two.trace, "+0 s lowly abc");
	raw_close(&r);
	stop(&two);
}

static void frames_that_violate(void **state)
{
	static const struct {
		bool accepted;
		uint32_t announced;
		enum peerlink_reason reason;
	} rows[] = {
	    {false, GREETING_LIMIT + 1, PEERLINK_OVERSIZE},
	    {false, 0, PEERLINK_EMPTY},
	    {false, UINT32_MAX, PEERLINK_OVERSIZE},
	    {true, FRAME_LIMIT + 1, PEERLINK_OVERSIZE},
	    {true, 0, PEERLINK_EMPTY},
	};
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t head[FRAME_HEAD] = {(uint8_t)(rows[i].announced >> 24),
					    (uint8_t)(rows[i].announced >> 16),
					    (uint8_t)(rows[i].announced >> 8), (uint8_t)rows[i].announced};
		two.accept_all = rows[i].accepted;
		struct raw r = raw_tls("127.0.0.1", tls_of[1]);
		PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
		raw_frame(&r, "fine");
		raw_write(&r, head, sizeof(head));
		PUMP_UNTIL(&r, two.closed == (int)i + 1 && r.gone);
		assert_int_equal(two.reason, rows[i].reason);
		assert_int_equal(two.frames, i + 1);
		raw_close(&r);
	}
	/* the largest that is allowed: before, and after the Hello is accepted */
	static uint8_t most[FRAME_HEAD + GREETING_LIMIT + 1];
	two.accept_all = false;
	struct raw r = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
	two.frames = two.bytes = 0;
	frame_head(most, GREETING_LIMIT);
	raw_write(&r, most, FRAME_HEAD + GREETING_LIMIT);
	PUMP_UNTIL(&r, two.frames == 1);
	CALL(&two, peerlink_accept(two.p));
	frame_head(most, GREETING_LIMIT + 1);
	raw_write(&r, most, sizeof(most));
	PUMP_UNTIL(&r, two.frames == 2);
	assert_int_equal(two.bytes, 2 * GREETING_LIMIT + 1);
	raw_close(&r);
	stop(&two);
}

static void sessions_that_break(void **state)
{
	struct leaf two;
	(void)state;
	start_plain(&two, 2);
	enum { TORN, RESET, SAID, GARBLED, BREAKS };
	static const enum peerlink_reason reasons[BREAKS] = {PEERLINK_LOST, PEERLINK_LOST,
							     PEERLINK_CLOSED_PEER, PEERLINK_LOST};
	for (int how = 0; how < BREAKS; how++) {
		struct raw r = raw_tls("127.0.0.1", tls_of[1]);
		PUMP_UNTIL(&r, two.up && SSL_is_init_finished(r.ssl));
		raw_write(&r, "\0\0\0\x9half", 8); /* a frame that never ends */
		if (how == SAID)
			SSL_shutdown(r.ssl);
		raw_pump(&r);
		struct linger at_once = {.l_onoff = 1};
		if (how == RESET)
			setsockopt(r.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (how == GARBLED)
			raw_bytes(&r, "\x17\x03\x03\x00\x20 0123456789 0123456789 01234567", 37);
		else
			raw_close(&r);
		UNTIL(two.closed == how + 1);
		if (two.reason != reasons[how])
			fail_msg("%d: %s", how, two.text);
		if (how == GARBLED)
			raw_close(&r);
	}
	assert_int_equal(two.frames, 0);
	stop(&two);
}

static void strangers_are_few_and_do_not_keep_the_peer_out(void **state)
{
	struct leaf one, two;
	struct raw idle[PEERLINK_GREETERS + 3];
	(void)state;
	start_plain(&two, 2);
	for (int i = 0; i < PEERLINK_GREETERS + 3; i++)
		idle[i] = raw_connect("127.0.0.9");
	UNTIL(peerlink_counters(two.p)->arrived == PEERLINK_GREETERS + 3);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TOO_MANY], 3);
	assert_int_equal(two.refused, 3);
	for (int i = PEERLINK_GREETERS; i < PEERLINK_GREETERS + 3; i++)
		PUMP_UNTIL(&idle[i], idle[i].gone);
	/* the peer's own address takes the oldest stranger's place */
	start_plain(&one, 1);
	connect_both(&one, &two, PEER_LINK);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TOO_MANY], 4);
	PUMP_UNTIL(&idle[0], idle[0].gone);
	raw_pump(&idle[1]);
	assert_false(idle[1].gone);
	for (int i = 0; i < PEERLINK_GREETERS + 3; i++)
		raw_close(&idle[i]);
	stop(&one);
	stop(&two);
}

static void whoever_is_not_accepted_in_time_is_dropped(void **state)
{
	struct leaf two;
	struct path paths[PATHS];
	(void)state;
	make_paths(paths, 2);
	struct peerlink_config config = default_config(paths, 2);
	config.greeting_ms = 100;
	start(&two, config);
	two.accept_all = false;
	struct raw silent = raw_connect("127.0.0.9"), half = raw_connect("127.0.0.9");
	raw_bytes(&half, "\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03", 11);
	struct raw peer = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&peer, two.up);
	raw_frame(&peer, "not a Hello");
	PUMP_UNTIL(&peer, !two.up && two.refused == 2);
	assert_int_equal(peerlink_counters(two.p)->ended[PEERLINK_TIMEOUT], 3);
	assert_string_equal(two.trace, "+0 not a Hello -TIMEOUT");
	/* one that is accepted stays: it outlives another that came after it and is not */
	two.accept_all = true;
	struct raw kept = raw_tls("127.0.0.1", tls_of[1]);
	PUMP_UNTIL(&kept, two.up);
	struct raw late = raw_connect("127.0.0.9");
	PUMP_UNTIL(&kept, two.refused == 3);
	assert_true(two.up);
	raw_close(&silent);
	raw_close(&half);
	raw_close(&peer);
	raw_close(&kept);
	raw_close(&late);
	stop(&two);
}

static void a_direct_path_takes_neighbours_only(void **state)
{
	struct leaf leaves[3];
	(void)state;
	for (int node = 2; node >= 1; node--) {
		struct path paths[PATHS];
		make_paths(paths, node);
		paths[PEER_LINK].direct = paths[MGMT].direct = true;
		start(&leaves[node], default_config(paths, node));
	}
	/* hop limit 64: the kernel does not answer it; the neighbour that dials later is through before it */
	int far = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_storage to;
	set_address(&to, "127.0.0.2");
	((struct sockaddr_in *)&to)->sin_port = htons(port);
	assert_int_equal(connect(far, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), -1);
	assert_int_equal(errno, EINPROGRESS);
	connect_both(&leaves[1], &leaves[2], PEER_LINK);
	struct pollfd poll_far = {.fd = far, .events = POLLOUT};
	assert_int_equal(poll(&poll_far, 1, 0), 0);
	assert_int_equal(peerlink_counters(leaves[2].p)->arrived, 1);
	close(far);
	CALL(&leaves[1], peerlink_use(leaves[1].p, MGMT));
	UNTIL(peerlink_path(leaves[1].p) == MGMT && peerlink_path(leaves[2].p) == MGMT);
	stop(&leaves[1]);
	stop(&leaves[2]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(bytes_that_are_not_tls),
	    TEST(one_byte_at_a_time),
	    TEST(frames_that_violate),
	    TEST(sessions_that_break),
	    TEST(strangers_are_few_and_do_not_keep_the_peer_out),
	    TEST(whoever_is_not_accepted_in_time_is_dropped),
	    TEST(a_direct_path_takes_neighbours_only),
	};
	return cmocka_run_group_tests(tests, world_keys, world_drop_keys);
}
