/* SPDX-License-Identifier: ISC */
/*
 * link against the real kernel: what is told, what is set, what an overrun costs.
 */
#include "netlab.h"
#include "netlink/link.h"
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

struct watch {
	struct link_handler handler;
	unsigned changed, gone, synced, failed, overruns;
	struct link last_gone;
};

#define WATCH(h) ((struct watch *)(void *)(h))

static void on_changed(struct link_handler *h, const struct link *link)
{
	assert_true(link->ifindex > 0);
	WATCH(h)->changed++;
}

static void on_gone(struct link_handler *h, const struct link *link)
{
	WATCH(h)->gone++;
	WATCH(h)->last_gone = *link;
}

static void on_synced(struct link_handler *h)
{
	WATCH(h)->synced++;
}

static void on_failed(struct link_handler *h, int error, const char *text)
{
	print_message("dump failed: %d %s\n", error, text);
	WATCH(h)->failed++;
}

static void on_overrun(struct link_handler *h)
{
	WATCH(h)->overruns++;
}

static const struct link_handler handlers = {on_changed, on_gone, on_synced, on_failed, on_overrun};

static struct links *watch_open(struct event_base *base, struct watch *w, int receive_buffer)
{
	char err[256] = "";
	struct links *links = NULL;

	memset(w, 0, sizeof(*w));
	w->handler = handlers;
	if (link_open(&links, base, receive_buffer, &w->handler, err, sizeof(err)))
		fail_msg("%s", err);
	lab_until(base, w->synced == 1);
	return links;
}

static void test_tells_what_there_is(void **state)
{
	struct watch w;
	struct links *links;
	const struct link *p1, *br;
	uint8_t mac[6];

	lab_require_root();
	lab_bridge();
	links = watch_open(*state, &w, 0);
	br = link_by_name(links, "br0");
	p1 = link_by_name(links, "p1");
	assert_non_null(br);
	assert_non_null(p1);
	assert_string_equal(br->kind, "bridge");
	assert_false(br->is_port);
	assert_int_equal(br->ageing_ms, 300000);
	assert_string_equal(p1->kind, "veth");
	assert_int_equal(p1->master, br->ifindex);
	assert_int_equal(p1->mtu, 1500);
	lab_mac("p1", mac);
	assert_memory_equal(p1->mac, mac, 6);
	assert_true(p1->admin_up && p1->carrier && p1->is_port && p1->port.learning);
	assert_int_equal(p1->port.state, 3);
	assert_int_equal(p1->speed, 10000); /* what veth tells */
	assert_int_equal(p1->duplex, LINK_DUPLEX_FULL);
	assert_ptr_equal(link_by_index(links, p1->ifindex), p1);
	assert_null(link_by_index(links, 4711));
	link_close(links);
}

static void test_tells_changes(void **state)
{
	struct event_base *base = *state;
	struct watch w;
	struct links *links;
	int p1, br;

	lab_require_root();
	lab_bridge();
	links = watch_open(base, &w, 0);
	p1 = lab_index("p1");
	br = lab_index("br0");

	lab_run("ip link set h1 down");
	lab_until(base, !link_by_index(links, p1)->carrier);
	assert_true(link_by_index(links, p1)->admin_up);
	assert_int_equal(link_by_index(links, p1)->speed, 0);
	lab_run("ip link set h1 up");
	lab_until(base, link_by_index(links, p1)->carrier && link_by_index(links, p1)->port.state == 3);
	assert_int_equal(link_by_index(links, p1)->speed, 10000);

	lab_run("ip link set p1 down");
	lab_until(base, !link_by_index(links, p1)->admin_up);
	lab_run("ip link set p1 mtu 1400");
	lab_until(base, link_by_index(links, p1)->mtu == 1400);
	lab_run("ip link set p1 name renamed");
	lab_until(base, link_by_name(links, "renamed") == link_by_index(links, p1));

	lab_run("ip link set renamed nomaster");
	lab_until(base, !link_by_index(links, p1)->is_port && link_by_index(links, p1)->master == 0);
	lab_run("ip link set renamed master br0");
	lab_until(base, link_by_index(links, p1)->is_port && link_by_index(links, p1)->master == br);

	lab_run("bridge link set dev o1 isolated on");
	lab_until(base, link_by_name(links, "o1")->port.isolated);

	lab_run("ip link del renamed");
	lab_until(base, !link_by_index(links, p1));
	assert_true(w.gone >= 1);
	assert_int_equal(link_counters(links).malformed, 0);
	assert_int_equal(w.failed, 0);
	link_close(links);
}

/* The same state again is not told again. */
static void test_is_quiet_when_nothing_changes(void **state)
{
	struct event_base *base = *state;
	struct watch w;
	struct links *links;
	uint64_t messages;
	unsigned changed;

	lab_require_root();
	lab_bridge();
	links = watch_open(base, &w, 0);
	messages = link_counters(links).messages;
	changed = w.changed;
	lab_run("ip link set p1 promisc on"); /* a flag this room does not tell: a message, no change */
	lab_until(base, link_counters(links).messages > messages);
	assert_int_equal(link_dump(links, NULL, 0), 0);
	lab_until(base, w.synced == 2);
	assert_int_equal(w.changed, changed);
	link_close(links);
}

static void test_sets_port_attributes(void **state)
{
	struct event_base *base = *state;
	struct watch w;
	struct links *links;
	char err[256] = "";
	int p1, pl, h1;

	lab_require_root();
	lab_bridge();
	links = watch_open(base, &w, 0);
	p1 = lab_index("p1");
	pl = lab_index("pl");
	h1 = lab_index("h1");

	assert_int_equal(link_set_learning(links, pl, false, err, sizeof(err)), 0);
	lab_run("bridge -d link show dev pl | grep -q 'learning off'");
	lab_until(base, !link_by_index(links, pl)->port.learning);
	assert_int_equal(link_set_learning(links, pl, true, err, sizeof(err)), 0);
	lab_run("bridge -d link show dev pl | grep -q 'learning on'");
	lab_until(base, link_by_index(links, pl)->port.learning);

	assert_int_equal(link_set_backup_port(links, p1, pl, err, sizeof(err)), 0);
	lab_run("bridge -d link show dev p1 | grep -q 'backup_port pl'");
	lab_until(base, link_by_index(links, p1)->port.backup_port == pl);
	assert_int_equal(link_set_backup_port(links, p1, 0, err, sizeof(err)), 0);
	lab_run("! bridge -d link show dev p1 | grep -q backup_port");
	lab_until(base, link_by_index(links, p1)->port.backup_port == 0);

	assert_int_equal(link_set_linklocal_learning(links, lab_index("br0"), false, err, sizeof(err)), 0);
	lab_run("ip -d link show br0 | grep -q 'no_linklocal_learn 1'");
	assert_int_equal(link_set_linklocal_learning(links, lab_index("br0"), true, err, sizeof(err)), 0);
	lab_run("ip -d link show br0 | grep -q 'no_linklocal_learn 0'");
	assert_string_equal(err, "");

	/* refused: not a port of a bridge; not an interface; a backup that is no port */
	assert_int_equal(link_set_learning(links, h1, false, err, sizeof(err)), -EOPNOTSUPP);
	assert_string_equal(err, "Operation not supported");
	assert_int_equal(link_set_learning(links, 4711, false, err, sizeof(err)), -ENODEV);
	assert_string_not_equal(err, "");
	assert_true(link_set_backup_port(links, p1, h1, err, sizeof(err)) < 0);
	assert_true(link_set_backup_port(links, p1, h1, NULL, 0) < 0);
	/* the kernel's own words: an interface that is no bridge takes no bridge option */
	assert_true(link_set_linklocal_learning(links, h1, false, err, sizeof(err)) < 0);
	assert_string_not_equal(err, "");
	link_close(links);
}

/* A change during a dump is told after it: a portion made before the change cannot undo it. */
static void test_dump_goes_before_changes(void **state)
{
	struct event_base *base = *state;
	struct watch w;
	struct links *links;
	uint64_t messages;
	unsigned turns = 0;
	int p1;

	lab_require_root();
	lab_bridge();
	lab_run("for i in $(seq 100); do echo link add a$i type veth peer b$i; done | ip -batch -");
	links = watch_open(base, &w, 0);
	p1 = lab_index("p1");
	messages = link_counters(links).messages;
	assert_int_equal(link_dump(links, NULL, 0), 0);
	assert_int_equal(link_set_learning(links, p1, false, NULL, 0), 0);
	for (; w.synced == 1; turns++) {
		assert_int_equal(link_counters(links).messages, messages);
		lab_turn(base);
	}
	assert_true(turns > 3);
	lab_until(base, link_counters(links).messages > messages);
	assert_false(link_by_index(links, p1)->port.learning);
	link_close(links);
}

static void test_overrun_ends_in_the_truth(void **state)
{
	struct event_base *base = *state;
	struct watch w;
	struct links *links;
	int p1, o1;

	lab_require_root();
	lab_bridge();
	links = watch_open(base, &w, 1); /* the kernel's least: room for a few messages */
	p1 = lab_index("p1");
	o1 = lab_index("o1");
	/* the loop does not run meanwhile */
	for (int i = 0; i < 200; i++)
		assert_int_equal(link_set_learning(links, p1, i & 1, NULL, 0), 0);
	lab_run("ip link del o1 && ip link set p2 mtu 1300 && ip link add fresh type veth peer other");
	assert_int_equal(link_set_learning(links, p1, false, NULL, 0), 0);
	lab_until(base, w.overruns >= 1 && w.synced >= 2);
	assert_true(link_counters(links).overruns >= 1);
	assert_null(link_by_index(links, o1));
	assert_true(w.gone >= 2);
	assert_int_equal(link_by_name(links, "p2")->mtu, 1300);
	assert_non_null(link_by_name(links, "fresh"));
	assert_false(link_by_index(links, p1)->port.learning);
	/* and it still hears */
	lab_run("ip link del fresh");
	lab_until(base, !link_by_name(links, "fresh"));
	link_close(links);
}

static void test_base_without_priorities_is_refused(void **state)
{
	struct event_base *plain = event_base_new();
	struct watch w = {.handler = handlers};
	struct links *links = NULL;
	char err[256] = "";

	(void)state;
	assert_int_equal(link_open(&links, plain, 0, &w.handler, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "the event base has not 3 priorities");
	assert_null(links);
	event_base_free(plain);
}

/* A message built by hand: header, ifinfomsg, one attribute. */
struct crafted {
	struct nlmsghdr header;
	struct ifinfomsg info;
	struct nlattr attr;
	char value[16];
};

static struct crafted craft(uint16_t type, uint8_t family)
{
	struct crafted c = {
	    .header = {.nlmsg_len = sizeof(c), .nlmsg_type = type},
	    .info = {.ifi_family = family, .ifi_index = 7},
	    .attr = {.nla_len = sizeof(c.attr) + 3, .nla_type = IFLA_IFNAME},
	    .value = "p1",
	};

	c.header.nlmsg_len = (uint32_t)offsetof(struct crafted, value) + 4;
	return c;
}

static void test_parse_trusts_nobody(void **state)
{
	struct crafted c = craft(RTM_NEWLINK, AF_UNSPEC);
	struct link_message m = {.gone = true};

	(void)state;
	assert_int_equal(link_parse(&c, c.header.nlmsg_len, &m), 0);
	assert_false(m.gone);
	assert_string_equal(m.link.name, "p1");
	assert_int_equal(m.link.ifindex, 7);

	memset(&m, 0xaa, sizeof(m));
	for (size_t length = 0; length < c.header.nlmsg_len; length++)
		assert_int_equal(link_parse(&c, length, &m), -EBADMSG);
	c = craft(RTM_NEWADDR, AF_UNSPEC);
	assert_int_equal(link_parse(&c, sizeof(c), &m), -ENOMSG);
	c = craft(RTM_NEWLINK, AF_INET6);
	assert_int_equal(link_parse(&c, sizeof(c), &m), -ENOMSG);
	c = craft(RTM_NEWLINK, AF_UNSPEC);
	c.info.ifi_index = 0;
	assert_int_equal(link_parse(&c, sizeof(c), &m), -EBADMSG);
	c = craft(RTM_NEWLINK, AF_UNSPEC);
	memset(c.value, 'x', sizeof(c.value)); /* a name without end */
	assert_int_equal(link_parse(&c, sizeof(c), &m), -EBADMSG);
	c = craft(RTM_NEWLINK, AF_UNSPEC);
	c.attr.nla_type = IFLA_MTU; /* three bytes are no number; and there is no name */
	assert_int_equal(link_parse(&c, sizeof(c), &m), -EBADMSG);
	assert_int_equal(m.link.ifindex, (int)0xaaaaaaaa); /* untouched */

	c = craft(RTM_DELLINK, AF_UNSPEC);
	assert_int_equal(link_parse(&c, sizeof(c), &m), 0);
	assert_true(m.gone);
	c = craft(RTM_DELLINK, AF_BRIDGE);
	assert_int_equal(link_parse(&c, sizeof(c), &m),
			 -ENOMSG); /* left its bridge; the device is still there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_tells_what_there_is, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_tells_changes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_is_quiet_when_nothing_changes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_sets_port_attributes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_dump_goes_before_changes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_overrun_ends_in_the_truth, lab_setup, lab_teardown),
	    cmocka_unit_test(test_base_without_priorities_is_refused),
	    cmocka_unit_test(test_parse_trusts_nobody),
	};

	return cmocka_run_group_tests_name("netlink/link", tests, NULL, NULL);
}
