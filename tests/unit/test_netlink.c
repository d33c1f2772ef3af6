/* SPDX-License-Identifier: ISC */
/*
 * rtnetlink against the real kernel: listener, dump and writer without what stands on them.
 */
#include "netlab.h"
#include "netlink/rtnetlink.h"
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

struct ear {
	struct netlink_listener_handler listening;
	struct netlink_dump_handler dumping;
	unsigned heard, overruns, begins, messages, ends;
	int status;
	char text[128];
};

#define EAR(h, member) ((struct ear *)(void *)((char *)(h)-offsetof(struct ear, member)))

static void on_message(struct netlink_listener_handler *h, const struct nlmsghdr *header)
{
	assert_true(header->nlmsg_len >= NLMSG_HDRLEN);
	EAR(h, listening)->heard++;
}

static void on_overrun(struct netlink_listener_handler *h)
{
	EAR(h, listening)->overruns++;
}

static void on_begin(struct netlink_dump_handler *h)
{
	EAR(h, dumping)->begins++;
	EAR(h, dumping)->messages = 0;
}

static void on_dumped(struct netlink_dump_handler *h, const struct nlmsghdr *header)
{
	assert_int_equal(header->nlmsg_type, RTM_NEWLINK);
	EAR(h, dumping)->messages++;
}

static void on_end(struct netlink_dump_handler *h, int status, const char *text)
{
	EAR(h, dumping)->ends++;
	EAR(h, dumping)->status = status;
	strncpy(EAR(h, dumping)->text, text, sizeof(EAR(h, dumping)->text) - 1);
}

static const struct ear deaf = {.listening = {.message = on_message, .overrun = on_overrun},
				.dumping = {on_begin, on_dumped, on_end}};

/* A request of links; of AF_BRIDGE it is one with a filter the kernel refuses (strict checking). */
static struct nl_msg *ask_links(bool wrong)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_flags = wrong ? 1 : 0};
	struct nl_msg *request = nlmsg_alloc_simple(RTM_GETLINK, 0);

	assert_non_null(request);
	assert_int_equal(nlmsg_append(request, &info, sizeof(info), NLMSG_ALIGNTO), 0);
	return request;
}

static void many_links(unsigned pairs)
{
	lab_run("for i in $(seq %u); do echo link add a$i type veth peer b$i; done | ip -batch -", pairs);
}

static void test_dump_tells_all_and_begins_again(void **state)
{
	struct event_base *base = *state;
	struct ear ear = deaf;
	struct netlink_dump *dump;
	struct nl_msg *request = ask_links(false);

	lab_require_root();
	many_links(100);
	assert_int_equal(netlink_dump_create(&dump, base, NETLINK_PRIORITY_TABLE, &ear.dumping), 0);
	assert_false(netlink_dump_running(dump));
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	assert_true(netlink_dump_running(dump));
	lab_until(base, ear.ends == 1);
	assert_int_equal(ear.status, 0);
	assert_int_equal(ear.messages, 201); /* and lo */
	assert_int_equal(ear.begins, 1);
	assert_false(netlink_dump_running(dump));

	/* the table changes between two portions */
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	lab_turn(base);
	assert_int_equal(ear.ends, 1);
	assert_in_range(ear.messages, 1, 200);
	lab_run("ip link add late type veth peer later");
	lab_until(base, ear.ends == 2);
	assert_int_equal(ear.status, 0);
	assert_int_equal(ear.begins, 3);
	assert_int_equal(netlink_dump_restarts(dump), 1);
	assert_int_equal(ear.messages, 203);

	/* given up in the middle: by a new one, and by the end */
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	lab_turn(base);
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	lab_until(base, ear.ends == 3);
	assert_int_equal(ear.messages, 203);
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	netlink_dump_destroy(dump);
	nlmsg_free(request);
}

static void test_dump_carries_the_kernels_words(void **state)
{
	struct event_base *base = *state;
	struct ear ear = deaf;
	struct netlink_dump *dump;
	struct nl_msg *request = ask_links(true);

	lab_require_root();
	assert_int_equal(netlink_dump_create(&dump, base, NETLINK_PRIORITY_TABLE, &ear.dumping), 0);
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	lab_until(base, ear.ends == 1);
	assert_int_equal(ear.status, -EINVAL);
	assert_string_equal(ear.text, "Invalid values in header for link dump request");
	netlink_dump_destroy(dump);
	nlmsg_free(request);
}

/* A table that never holds still: the dump gives up, says so, and nothing may be swept. */
static void test_dump_gives_up_in_the_end(void **state)
{
	struct event_base *base = *state;
	struct ear ear = deaf;
	struct netlink_dump *dump;
	struct nl_msg *request = ask_links(false);

	lab_require_root();
	many_links(100);
	assert_int_equal(netlink_dump_create(&dump, base, NETLINK_PRIORITY_TABLE, &ear.dumping), 0);
	assert_int_equal(netlink_dump_start(dump, request, NULL, 0), 0);
	for (unsigned i = 0; i < 200 && !ear.ends; i++) {
		lab_turn(base);
		lab_run(i & 1 ? "ip link del odd" : "ip link add odd type veth peer even");
	}
	assert_int_equal(ear.ends, 1);
	assert_int_equal(ear.status, -EINTR);
	assert_string_not_equal(ear.text, "");
	netlink_dump_destroy(dump);
	nlmsg_free(request);
}

static struct netlink_listener *listen_links(struct event_base *base, struct ear *ear, int buffer,
					     unsigned budget)
{
	const struct netlink_listener_config config = {
	    .group = RTNLGRP_LINK, .receive_buffer = buffer, .budget = budget, .family = AF_UNSPEC};
	struct netlink_listener *l = NULL;
	char err[128] = "";

	if (netlink_listener_open(&l, base, &config, &ear->listening, err, sizeof(err)))
		fail_msg("%s", err);
	return l;
}

static void test_listener_keeps_its_budget_and_its_pause(void **state)
{
	struct event_base *base = *state;
	struct ear ear = deaf;
	struct netlink_listener *l;

	lab_require_root();
	l = listen_links(base, &ear, 64 << 20, 3);
	/* forced past rmem_max; the kernel doubles what is asked */
	assert_int_equal(netlink_listener_receive_buffer(l), 128 << 20);
	many_links(10); /* at least one message for each end */
	assert_true(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
	assert_int_equal(ear.heard, 3);
	netlink_listener_pause(l, true);
	for (unsigned i = 0; i < 20; i++)
		lab_turn(base);
	assert_int_equal(ear.heard, 3);
	netlink_listener_pause(l, false);
	lab_until(base, ear.heard >= 20);
	assert_int_equal(netlink_listener_counters(l)->messages, ear.heard);
	assert_int_equal(ear.overruns, 0);
	netlink_listener_close(l);
}

/* What was queued before the loss is thrown away, then the owner is told, once; then it hears again. */
static void test_listener_overrun(void **state)
{
	struct event_base *base = *state;
	struct ear ear = deaf;
	struct netlink_listener *l;
	unsigned heard;

	lab_require_root();
	l = listen_links(base, &ear, 16384, 2);
	many_links(20);
	lab_until(base, ear.overruns == 1);
	assert_int_equal(ear.heard, 0);
	assert_true(netlink_listener_counters(l)->discarded > 0);
	assert_int_equal(netlink_listener_counters(l)->overruns, 1);
	heard = ear.heard;
	lab_run("ip link set a1 mtu 1400");
	lab_until(base, ear.heard > heard);
	assert_int_equal(ear.overruns, 1);
	netlink_listener_close(l);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(netlink_ifname_valid("po1"));
	assert_true(netlink_ifname_valid("eth0.4094"));
	assert_true(netlink_ifname_valid("0123456789abcde"));
	assert_false(netlink_ifname_valid("0123456789abcdef"));
	assert_false(netlink_ifname_valid(""));
	assert_false(netlink_ifname_valid(".."));
	assert_false(netlink_ifname_valid("a:b"));
	assert_false(netlink_ifname_valid("a\x80"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_dump_tells_all_and_begins_again, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_dump_carries_the_kernels_words, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_dump_gives_up_in_the_end, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_listener_keeps_its_budget_and_its_pause, lab_setup,
					    lab_teardown),
	    cmocka_unit_test_setup_teardown(test_listener_overrun, lab_setup, lab_teardown),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("netlink/rtnetlink", tests, NULL, NULL);
}
