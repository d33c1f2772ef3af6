/* SPDX-License-Identifier: ISC */
/*
 * lacpdu against the real kernel: frames in and out of a bridge port, and a port that goes and comes.
 */
#include "netlab.h"
#include "netlink/lacpdu.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

struct ear {
	struct lacpdu_handler handler;
	unsigned received, down;
	int error;
	uint8_t source[6];
	uint8_t payload[LACPDU_MAX];
	size_t length;
};

#define EAR(h) ((struct ear *)(void *)(h))

static void on_received(struct lacpdu_handler *h, const uint8_t source[6], const uint8_t *payload,
			size_t length)
{
	struct ear *ear = EAR(h);

	ear->received++;
	memcpy(ear->source, source, 6);
	memcpy(ear->payload, payload, length);
	ear->length = length;
}

static void on_down(struct lacpdu_handler *h, int error)
{
	EAR(h)->down++;
	EAR(h)->error = error;
}

static const struct ear deaf = {.handler = {on_received, on_down}};

static struct lacpdu_socket *open_on(struct event_base *base, const char *ifname, struct ear *ear)
{
	struct lacpdu_socket *l = NULL;
	uint8_t mac[6];
	char err[256] = "";

	lab_mac(ifname, mac);
	if (lacpdu_open(&l, base, lab_index(ifname), mac, &ear->handler, err, sizeof(err)))
		fail_msg("%s", err);
	return l;
}

static void test_speaks_and_hears_on_a_bridge_port(void **state)
{
	struct event_base *base = *state;
	struct ear leaf = deaf, host = deaf, other = deaf;
	struct lacpdu_socket *at_leaf, *at_host, *at_other;
	uint8_t pdu[110] = {1, 1, 1, 20};
	const uint8_t new_source[6] = {2, 0, 0, 0, 0, 9};
	uint8_t mac[6];

	lab_require_root();
	lab_bridge();
	at_leaf = open_on(base, "p1", &leaf);
	at_host = open_on(base, "h1", &host);
	at_other = open_on(base, "h2", &other);
	for (size_t i = 4; i < sizeof(pdu); i++)
		pdu[i] = (uint8_t)i;

	assert_int_equal(lacpdu_send(at_host, pdu, sizeof(pdu)), 0);
	lab_until(base, leaf.received == 1);
	lab_mac("h1", mac);
	assert_memory_equal(leaf.source, mac, 6);
	assert_int_equal(leaf.length, sizeof(pdu));
	assert_memory_equal(leaf.payload, pdu, sizeof(pdu));

	lacpdu_set_source(at_leaf, new_source);
	assert_int_equal(lacpdu_send(at_leaf, pdu, sizeof(pdu)), 0);
	lab_until(base, host.received == 1);
	assert_memory_equal(host.source, new_source, 6);

	/* every state of the port: disabled, listening, learning, blocking */
	for (unsigned i = 0; i < 4; i++) {
		lab_run("bridge link set dev p1 state %u", "\0\1\2\4"[i]);
		assert_int_equal(lacpdu_send(at_host, pdu, sizeof(pdu)), 0);
		assert_int_equal(lacpdu_send(at_leaf, pdu, sizeof(pdu)), 0);
		lab_until(base, leaf.received == 2 + i && host.received == 2 + i);
	}
	/* one hears neither oneself nor what the bridge must not forward */
	assert_int_equal(lacpdu_send(at_other, pdu, sizeof(pdu)), 0);
	assert_int_equal(lacpdu_send(at_leaf, pdu, sizeof(pdu)), 0);
	lab_until(base, host.received == 6);
	assert_int_equal(leaf.received, 5);
	assert_int_equal(other.received, 0);
	assert_int_equal(lacpdu_counters(at_leaf).sent, 6);
	assert_int_equal(lacpdu_counters(at_leaf).received, 5);
	lacpdu_close(at_leaf);
	lacpdu_close(at_host);
	lacpdu_close(at_other);
}

static void test_takes_only_lacp_and_marker(void **state)
{
	struct event_base *base = *state;
	struct ear leaf = deaf, host = deaf;
	struct lacpdu_socket *at_leaf, *at_host;
	struct lab_port raw;
	uint8_t pdu[LACPDU_MAX + 1] = {0};
	uint8_t bare[ETH_HLEN] = {0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x09};

	lab_require_root();
	lab_bridge();
	lab_run("ip link set h1 mtu 2000 && ip link set p1 mtu 2000");
	at_leaf = open_on(base, "p1", &leaf);
	at_host = open_on(base, "h1", &host);
	lab_port_open(&raw, "h1");
	for (unsigned subtype = 0; subtype < 256; subtype++) {
		pdu[0] = (uint8_t)subtype;
		assert_int_equal(lacpdu_send(at_host, pdu, 110), 0);
	}
	lab_send_raw(&raw, bare, sizeof(bare)); /* no subtype at all */
	pdu[0] = 2;
	assert_int_equal(lacpdu_send(at_host, pdu, 1), 0);
	lab_until(base, leaf.received == 3);
	assert_int_equal(leaf.payload[0], 2);
	assert_int_equal(leaf.length, ETH_ZLEN - ETH_HLEN); /* padded */

	/* the longest, and one more */
	assert_int_equal(lacpdu_send(at_host, pdu, LACPDU_MAX), 0);
	lab_until(base, leaf.received == 4);
	assert_int_equal(leaf.length, LACPDU_MAX);
	assert_int_equal(lacpdu_send(at_host, pdu, LACPDU_MAX + 1), -EMSGSIZE);
	assert_int_equal(lacpdu_send(at_host, pdu, 0), -EMSGSIZE);

	uint8_t giant[ETH_HLEN + LACPDU_MAX + 1];

	memcpy(giant, bare, sizeof(bare));
	memset(giant + ETH_HLEN, 1, sizeof(giant) - ETH_HLEN);
	lab_send_raw(&raw, giant, sizeof(giant));
	lab_until(base, lacpdu_counters(at_leaf).refused == 1);
	assert_int_equal(leaf.received, 4);
	lab_port_close(&raw);
	lacpdu_close(at_leaf);
	lacpdu_close(at_host);
}

static void test_outlives_its_port_going_down(void **state)
{
	struct event_base *base = *state;
	struct ear leaf = deaf, host = deaf;
	struct lacpdu_socket *at_leaf, *at_host;
	uint8_t pdu[110] = {1};

	lab_require_root();
	lab_bridge();
	at_leaf = open_on(base, "p1", &leaf);
	at_host = open_on(base, "h1", &host);
	lab_run("ip link set p1 down");
	lab_until(base, leaf.down == 1);
	assert_int_equal(leaf.error, -ENETDOWN);
	assert_int_equal(lacpdu_send(at_leaf, pdu, sizeof(pdu)), -ENETDOWN);
	lab_run("ip link set p1 up");
	lab_until(base, lacpdu_send(at_host, pdu, sizeof(pdu)) == 0 && leaf.received > 0);
	lab_until(base, lacpdu_send(at_leaf, pdu, sizeof(pdu)) == 0 && host.received > 0);
	assert_int_equal(leaf.down, 1);

	lab_run("ip link del p1");
	lab_until(base, leaf.down == 2);
	assert_true(lacpdu_send(at_leaf, pdu, sizeof(pdu)) < 0);
	lacpdu_close(at_leaf);
	lacpdu_close(at_host);
	lacpdu_close(NULL);
}

static void test_refuses_what_cannot_be(void **state)
{
	struct event_base *plain = event_base_new();
	struct ear ear = deaf;
	struct lacpdu_socket *l = NULL;
	char err[256] = "";

	lab_require_root();
	assert_int_equal(lacpdu_open(&l, *state, 4711, lab_broadcast, &ear.handler, err, sizeof(err)),
			 -ENODEV);
	assert_string_equal(err, "slow protocols on interface 4711: No such device");
	assert_int_equal(lacpdu_open(&l, plain, 1, lab_broadcast, &ear.handler, NULL, 0), -EINVAL);
	assert_null(l);
	event_base_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_speaks_and_hears_on_a_bridge_port, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_takes_only_lacp_and_marker, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_outlives_its_port_going_down, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_what_cannot_be, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests_name("netlink/lacpdu", tests, NULL, NULL);
}
