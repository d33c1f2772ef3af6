/* SPDX-License-Identifier: ISC */
/* Keepalives without a socket: the codec (bytes), and the stream (freshness and measures in virtual time). */
#include "peerlink/datagram.h"
#include "peerlink/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000 /* in us */

static const struct secret secret = {{1, 2, 3, 4, 5}}, other_secret = {{1, 2, 3, 4, 6}};

static void put_be(uint8_t *at, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* --- the codec ------------------------------------------------------------------------------- */

static struct keepalive_datagram sample(void)
{
	struct keepalive_datagram d = {
	    .node = 2,
	    .path = 3,
	    .flags = KEEPALIVE_PROBE,
	    .boot = 0x0102030405060708,
	    .sequence = 0x1112131415161718,
	    .echo_boot = 0x2122232425262728,
	    .echo_sequence = 0x3132333435363738,
	    .echo_age_us = 0x41424344,
	    .sent_us = 0x51525354,
	    .payload_len = 5,
	    .payload = "lower",
	};
	return d;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	for (uint16_t len = 0; len <= KEEPALIVE_PAYLOAD_MAX; len++) {
		struct keepalive_datagram out = sample(), in = {0};
		uint8_t bytes[KEEPALIVE_MAX], again[KEEPALIVE_MAX];
		out.payload_len = len;
		for (unsigned i = 0; i < KEEPALIVE_PAYLOAD_MAX; i++)
			out.payload[i] = i < len ? (uint8_t)(i * 7) : 0;
		size_t size = keepalive_encode(&out, &secret, bytes);
		assert_int_equal(size, KEEPALIVE_HEAD + len + KEEPALIVE_MAC);
		assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_FINE);
		assert_int_equal(in.boot, out.boot);
		assert_int_equal(keepalive_encode(&in, &secret, again), size);
		assert_memory_equal(again, bytes, size);
	}
}

static void the_layout_is_the_documented_one(void **state)
{
	static const uint8_t head[KEEPALIVE_HEAD] =
	    "MLKA\x01\x02\x03\x01"
	    "\x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18"
	    "\x21\x22\x23\x24\x25\x26\x27\x28\x31\x32\x33\x34\x35\x36\x37\x38"
	    "\x41\x42\x43\x44\x51\x52\x53\x54\x00\x05\x00";
	struct keepalive_datagram d = sample();
	uint8_t bytes[KEEPALIVE_MAX];
	(void)state;
	keepalive_encode(&d, &secret, bytes);
	assert_memory_equal(bytes, head, sizeof(head));
	assert_memory_equal(bytes + KEEPALIVE_HEAD, "lower", 5);
}

static void every_changed_bit_is_refused(void **state)
{
	struct keepalive_datagram d = sample(), in;
	uint8_t bytes[KEEPALIVE_MAX];
	(void)state;
	memset(&in, 0x5a, sizeof(in));
	const struct keepalive_datagram untouched = in;
	size_t size = keepalive_encode(&d, &secret, bytes);
	for (size_t bit = 0; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_FINE);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* for the sanitizer to see a read behind it */
		memcpy(exact, bytes, cut);
		assert_int_not_equal(keepalive_decode(exact, cut, &secret, &in), KEEPALIVE_FINE);
		free(exact);
	}
	assert_memory_equal(&in, &untouched, sizeof(in));
	assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_FINE);
}

static void each_fault_has_its_reason(void **state)
{
	struct keepalive_datagram d = sample(), in;
	uint8_t bytes[KEEPALIVE_MAX + 1] = {0};
	(void)state;
	size_t size = keepalive_encode(&d, &secret, bytes);
	assert_int_equal(keepalive_decode(bytes, size, &other_secret, &in), KEEPALIVE_BAD_MAC);
	assert_int_equal(keepalive_decode(bytes, KEEPALIVE_MAX + 1, &secret, &in), KEEPALIVE_OVERSIZE);
	assert_int_equal(keepalive_decode(bytes, KEEPALIVE_HEAD + KEEPALIVE_MAC - 1, &secret, &in),
			 KEEPALIVE_BAD_LENGTH);
	assert_int_equal(keepalive_decode(bytes, size + 1, &secret, &in), KEEPALIVE_BAD_LENGTH);
	put_be(bytes + 48, 2, 6);
	assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_BAD_LENGTH);
	put_be(bytes + 4, 1, 2);
	assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_BAD_VERSION);
	bytes[0] = 'm';
	assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_BAD_MAGIC);
	/* rightly signed, and still not possible */
	struct keepalive_datagram wrong[] = {sample(), sample(), sample(), sample()};
	wrong[0].node = 0;
	wrong[1].node = 3;
	wrong[2].boot = 0;
	wrong[3].sequence = 0;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size = keepalive_encode(&wrong[i], &secret, bytes);
		assert_int_equal(keepalive_decode(bytes, size, &secret, &in), KEEPALIVE_BAD_NODE);
	}
	assert_string_equal(keepalive_drop_text(KEEPALIVE_BAD_MAC), "not signed with our secret");
}

/* --- freshness, in virtual time -------------------------------------------------------------- */

#define OURS   100
#define FIRST  200 /* the peer's boot ids, in the order it lived through them */
#define SECOND 300

static struct stream ours;
static int64_t now;

/* We send one; what is echoed does not matter here. Returns its sequence. */
static uint64_t we_send(void)
{
	struct keepalive_datagram d;
	stream_next(&ours, now, NULL, &d);
	return d.sequence;
}

static struct keepalive_datagram theirs(uint64_t boot, uint64_t sequence, uint64_t echo)
{
	return (struct keepalive_datagram){.node = 2,
					   .boot = boot,
					   .sequence = sequence,
					   .echo_boot = echo ? OURS : 0,
					   .echo_sequence = echo,
					   .sent_us = (uint32_t)now};
}

static enum keepalive_drop hear(uint64_t boot, uint64_t sequence, uint64_t echo)
{
	struct keepalive_datagram d = theirs(boot, sequence, echo);
	struct keepalive_heard heard;
	return stream_judge(&ours, &d, now, &heard);
}

static int fresh_stream(void **state)
{
	(void)state;
	now = 1000000;
	stream_init(&ours, OURS);
	return 0;
}

static void nobody_is_believed_before_he_echoes_us(void **state)
{
	(void)state;
	uint64_t sent = we_send();
	assert_int_equal(hear(FIRST, 1, 0), KEEPALIVE_STALE_BOOT);
	assert_int_equal(hear(FIRST, 2, sent + 1), KEEPALIVE_STALE_BOOT); /* not sent yet */
	struct keepalive_datagram d = theirs(FIRST, 3, sent);
	struct keepalive_heard heard;
	d.echo_boot = OURS - 1; /* an earlier life of ours */
	assert_int_equal(stream_judge(&ours, &d, now, &heard), KEEPALIVE_STALE_BOOT);
	assert_int_equal(hear(OURS, 4, sent), KEEPALIVE_REFLECTED);
	assert_int_equal(ours.peer_boot, 0);
	assert_int_equal(hear(FIRST, 5, sent), KEEPALIVE_FINE);
	assert_int_equal(ours.peer_boot, FIRST);
}

static void the_sequence_must_grow(void **state)
{
	(void)state;
	assert_int_equal(hear(FIRST, 10, we_send()), KEEPALIVE_FINE);
	assert_int_equal(hear(FIRST, 10, 0), KEEPALIVE_REPLAYED);
	assert_int_equal(hear(FIRST, 9, we_send()), KEEPALIVE_REPLAYED);
	assert_int_equal(hear(FIRST, 11, 0), KEEPALIVE_FINE);
	assert_int_equal(ours.lost, 0);
	assert_int_equal(hear(FIRST, 20, 0), KEEPALIVE_FINE);
	assert_int_equal(ours.lost, 8);
	assert_int_equal(ours.heard, 3);
}

static void a_restarted_peer_must_prove_that_it_came_after(void **state)
{
	(void)state;
	uint64_t early = we_send();
	assert_int_equal(hear(FIRST, 1, early), KEEPALIVE_FINE);
	uint64_t late = we_send();
	assert_int_equal(hear(FIRST, 2, late), KEEPALIVE_FINE);
	/* it restarts; what its new life echoes must have been sent after the last word of the old one */
	assert_int_equal(hear(SECOND, 1, 0), KEEPALIVE_STALE_BOOT);
	assert_int_equal(hear(SECOND, 2, late), KEEPALIVE_STALE_BOOT);
	uint64_t after = we_send();
	assert_int_equal(hear(SECOND, 3, after), KEEPALIVE_FINE);
	/* recordings of the old life, whatever they echo, are of no use any more */
	for (uint64_t echo = 0; echo <= after; echo++)
		assert_int_equal(hear(FIRST, 1000 + echo, echo), KEEPALIVE_STALE_BOOT);
	assert_int_equal(hear(SECOND, 3, after), KEEPALIVE_REPLAYED);
	assert_int_equal(hear(SECOND, 4, after), KEEPALIVE_FINE);
	assert_int_equal(ours.peer_boot, SECOND);
}

static void recordings_do_not_keep_a_restarted_peer_out(void **state)
{
	(void)state;
	assert_int_equal(hear(FIRST, 5, we_send()), KEEPALIVE_FINE);
	for (int i = 0; i < 100; i++) { /* other boot ids, other sequences, between any two words of ours */
		assert_int_equal(hear(900 + (uint64_t)i, 1, 1), KEEPALIVE_STALE_BOOT);
		assert_int_equal(hear(FIRST, 3, 1), KEEPALIVE_REPLAYED);
	}
	uint64_t challenge = we_send();
	assert_int_equal(hear(901, 2, 1), KEEPALIVE_STALE_BOOT);
	assert_int_equal(hear(SECOND, 7, challenge), KEEPALIVE_FINE);
}

static void an_old_echo_proves_nothing(void **state)
{
	(void)state;
	uint64_t sent = we_send();
	now += STREAM_PROOF_US + 1;
	assert_int_equal(hear(FIRST, 1, sent), KEEPALIVE_STALE_BOOT);
	sent = we_send();
	for (int i = 0; i < STREAM_SENT; i++)
		we_send();
	assert_int_equal(hear(FIRST, 2, sent), KEEPALIVE_STALE_BOOT);
	now += STREAM_PROOF_US;
	assert_int_equal(hear(FIRST, 3, ours.sequence), KEEPALIVE_FINE);
}

static void two_streams_prove_themselves_in_a_round_trip(void **state)
{
	struct stream one, two;
	struct keepalive_datagram hello, challenge, answer;
	struct keepalive_heard heard;
	(void)state;
	stream_init(&one, OURS);
	stream_init(&two, FIRST);
	memset(&hello, 0, sizeof(hello));
	challenge = answer = hello;
	stream_next(&one, now, NULL, &hello);
	assert_int_equal(stream_judge(&two, &hello, now, &heard), KEEPALIVE_STALE_BOOT);
	stream_next(&two, now, &hello, &challenge);
	assert_int_equal(stream_judge(&one, &challenge, now, &heard), KEEPALIVE_FINE);
	assert_true(heard.restarted && heard.hears_us);
	stream_next(&one, now, NULL, &answer);
	assert_int_equal(stream_judge(&two, &answer, now, &heard), KEEPALIVE_FINE);
	assert_true(heard.restarted && heard.hears_us);
}

static void measures(void **state)
{
	struct keepalive_heard heard;
	(void)state;
	uint64_t sent = we_send();
	now += 5 * MS;
	struct keepalive_datagram d = theirs(FIRST, 1, sent);
	d.echo_age_us = 3 * MS;
	assert_int_equal(ours.rtt_us, -1);
	assert_int_equal(stream_judge(&ours, &d, now, &heard), KEEPALIVE_FINE);
	assert_true(heard.restarted && heard.hears_us);
	assert_int_equal(heard.age_us, 5 * MS);
	assert_int_equal(heard.rtt_us, 2 * MS);
	assert_int_equal(ours.rtt_us, 2 * MS);
	/* evenly spaced: no jitter; 16 ms late: 1 ms of it, by the 16th */
	now += 100 * MS;
	d = theirs(FIRST, 2, sent);
	d.sent_us = (uint32_t)(1000000 + 105 * MS);
	assert_int_equal(stream_judge(&ours, &d, now, &heard), KEEPALIVE_FINE);
	assert_int_equal(ours.jitter_us, 0);
	assert_false(heard.restarted);
	now += 116 * MS;
	d = theirs(FIRST, 3, 0);
	d.sent_us = (uint32_t)(1000000 + 205 * MS);
	assert_int_equal(stream_judge(&ours, &d, now, &heard), KEEPALIVE_FINE);
	assert_int_equal(ours.jitter_us, 1 * MS);
	assert_false(heard.hears_us);
	assert_int_equal(heard.age_us, -1);
	assert_int_equal(heard.rtt_us, -1);
	/* it claims that our word lay there longer than it has been sent: no negative round trip */
	d = theirs(FIRST, 4, we_send());
	d.echo_age_us = UINT32_MAX;
	assert_int_equal(stream_judge(&ours, &d, now, &heard), KEEPALIVE_FINE);
	assert_int_equal(heard.rtt_us, 0);
}

int main(void)
{
#define PURE(name) cmocka_unit_test_setup(name, fresh_stream)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(the_layout_is_the_documented_one),
	    cmocka_unit_test(every_changed_bit_is_refused),
	    cmocka_unit_test(each_fault_has_its_reason),
	    PURE(nobody_is_believed_before_he_echoes_us),
	    PURE(the_sequence_must_grow),
	    PURE(a_restarted_peer_must_prove_that_it_came_after),
	    PURE(recordings_do_not_keep_a_restarted_peer_out),
	    PURE(an_old_echo_proves_nothing),
	    PURE(two_streams_prove_themselves_in_a_round_trip),
	    PURE(measures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
