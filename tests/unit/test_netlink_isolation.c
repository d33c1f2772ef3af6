/* SPDX-License-Identifier: ISC */
/*
 * isolation against the real kernel: every rule is proved by frames that pass and frames that do not.
 */
#include "netlab.h"
#include "netlink/fdb.h"
#include "netlink/isolation.h"
#include "netlink/lacpdu.h"
#include "netlink/link.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const two_legs[] = {"p1", "p2"};

static const struct isolation_config plain = {
    .table = "mclagd", .peer_link = "pl", .legs = two_legs, .leg_count = 2};

/* The far ends. */
struct far {
	struct lab_port h1, h2, q1, q2, pl;
	uint8_t last; /* number of the last frame sent */
};

static void far_open(struct far *f)
{
	lab_port_open(&f->h1, "h1");
	lab_port_open(&f->h2, "h2");
	lab_port_open(&f->q1, "q1");
	lab_port_open(&f->q2, "q2");
	lab_port_open(&f->pl, "far");
	f->last = 0;
}

static void far_close(struct far *f)
{
	lab_port_close(&f->h1);
	lab_port_close(&f->h2);
	lab_port_close(&f->q1);
	lab_port_close(&f->q2);
	lab_port_close(&f->pl);
}

/* All frames sent before have arrived where they will: a marker between the orphans came after them. */
static void far_settle(struct far *f)
{
	uint8_t marker = ++f->last;

	lab_send(&f->q1, lab_broadcast, marker);
	lab_until(NULL, lab_seen(&f->q2, marker) == 1);
}

/* Who gets a frame, as letters in this order: 1 2 (hosts), a b (orphans), p (peer link). */
static const char *far_send(struct far *f, struct lab_port *from, const uint8_t to[6])
{
	static char got[8];
	struct lab_port *const ports[] = {&f->h1, &f->h2, &f->q1, &f->q2, &f->pl};
	uint8_t number = ++f->last;
	size_t n = 0;

	lab_send(from, to, number);
	far_settle(f);
	for (size_t i = 0; i < 5; i++) {
		unsigned copies = lab_seen(ports[i], number);

		assert_in_range(copies, 0, 1);
		if (copies)
			got[n++] = "12abp"[i];
	}
	got[n] = '\0';
	return got;
}

static const char *far_flood(struct far *f, struct lab_port *from)
{
	return far_send(f, from, lab_broadcast);
}

static struct isolation *open_or_fail(const struct isolation_config *config)
{
	struct isolation *i = NULL;
	char err[256] = "";

	if (isolation_open(&i, config, err, sizeof(err)))
		fail_msg("%s", err);
	return i;
}

static void forward(struct isolation *i, const char *ifname, bool yes)
{
	char err[256] = "";

	if (isolation_forward(i, ifname, yes, err, sizeof(err)))
		fail_msg("%s: %s", ifname, err);
}

static void isolate(struct isolation *i, const char *ifname, bool yes)
{
	char err[256] = "";

	if (isolation_isolate(i, ifname, yes, err, sizeof(err)))
		fail_msg("%s: %s", ifname, err);
}

static bool bridge_knows(const struct lab_port *port)
{
	const uint8_t *m = port->mac;

	return lab_try("bridge fdb show br br0 dynamic | grep -q '^%02x:%02x:%02x:%02x:%02x:%02x'", m[0],
		       m[1], m[2], m[3], m[4], m[5]);
}

static void test_starts_closed_and_opens_leg_by_leg(void **state)
{
	struct isolation *i;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	assert_string_equal(far_flood(&f, &f.q1), "12bp"); /* without the table */
	i = open_or_fail(&plain);
	assert_false(isolation_was_adopted(i));

	/* held legs neither receive nor send, the closed peer link bridges nothing, orphans go on */
	assert_string_equal(far_flood(&f, &f.q1), "b");
	assert_string_equal(far_flood(&f, &f.h1), "");
	assert_string_equal(far_flood(&f, &f.h2), "");
	assert_string_equal(far_flood(&f, &f.pl), "");
	/* and nothing is learned from a held leg */
	assert_false(bridge_knows(&f.h1));
	assert_true(bridge_knows(&f.q1));

	forward(i, "p1", true);
	assert_string_equal(far_flood(&f, &f.q1), "1b");
	assert_string_equal(far_flood(&f, &f.h1), "ab");
	assert_true(bridge_knows(&f.h1));
	assert_string_equal(far_flood(&f, &f.h2), "");

	forward(i, "p2", true);
	forward(i, "pl", true);
	assert_string_equal(far_flood(&f, &f.h1), "2abp");
	assert_string_equal(far_flood(&f, &f.pl), "12ab");
	/* known unicast goes where it should only */
	assert_string_equal(far_send(&f, &f.h2, f.h1.mac), "1");

	forward(i, "p1", false);
	assert_string_equal(far_flood(&f, &f.h1), "");
	assert_string_equal(far_send(&f, &f.h2, f.h1.mac), "");
	assert_string_equal(far_flood(&f, &f.pl), "2ab");
	isolation_close(i);
	far_close(&f);
}

/* What the leaf itself sends and receives: a held leg is deaf and dumb, a closed peer link is not. */
static void test_leaf_itself(void **state)
{
	struct isolation *i;
	struct lab_port leaf;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	lab_port_open(&leaf, "br0");
	i = open_or_fail(&plain);
	assert_string_equal(far_flood(&f, &leaf), "abp");
	lab_send(&f.h1, leaf.mac, 200);
	lab_send(&f.pl, leaf.mac, 201);
	lab_send(&f.q1, leaf.mac, 202);
	lab_until(NULL, lab_seen(&leaf, 202) == 1);
	assert_int_equal(lab_seen(&leaf, 201), 1);
	assert_int_equal(lab_seen(&leaf, 200), 0);

	forward(i, "p1", true);
	assert_string_equal(far_flood(&f, &leaf), "1abp");
	lab_send(&f.h1, leaf.mac, 203);
	lab_until(NULL, lab_seen(&leaf, 203) == 1);
	isolation_close(i);
	lab_port_close(&leaf);
	far_close(&f);
}

static void test_split_horizon(void **state)
{
	struct isolation *i;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	i = open_or_fail(&plain);
	forward(i, "p1", true);
	forward(i, "p2", true);
	forward(i, "pl", true);
	isolate(i, "p1", true);
	assert_string_equal(far_flood(&f, &f.pl), "2ab"); /* not into the isolated leg */
	assert_string_equal(far_flood(&f, &f.q1), "12bp");
	assert_string_equal(far_flood(&f, &f.h2), "1abp");
	assert_string_equal(far_flood(&f, &f.h1), "2abp"); /* out of it towards the peer */
	assert_string_equal(far_send(&f, &f.pl, f.h1.mac), "");
	isolate(i, "p1", false);
	assert_string_equal(far_send(&f, &f.pl, f.h1.mac), "1");
	assert_string_equal(far_flood(&f, &f.pl), "12ab");
	isolation_close(i);
	far_close(&f);
}

struct told {
	struct link_handler handler;
};

static void told_link(struct link_handler *h, const struct link *link)
{
	(void)h;
	(void)link;
}

static void told_synced(struct link_handler *h)
{
	(void)h;
}

static void told_failed(struct link_handler *h, int error, const char *text)
{
	(void)h;
	fail_msg("%d %s", error, text);
}

static const struct link_handler told = {told_link, told_link, told_synced, told_failed, told_synced};

/* The kernel's own redirection of a leg without carrier passes the rules, and makes no loop. */
static void test_backup_port_redirects(void **state)
{
	struct event_base *base = *state;
	struct link_handler handler = told;
	struct links *links;
	struct isolation *i;
	struct far f;
	int p1, pl;

	lab_require_root();
	lab_bridge();
	far_open(&f);
	p1 = lab_index("p1");
	pl = lab_index("pl");
	i = open_or_fail(&plain);
	forward(i, "p1", true);
	forward(i, "pl", true);
	isolate(i, "p1", true);
	assert_int_equal(link_open(&links, base, 0, &handler, NULL, 0), 0);
	lab_until(base, link_by_index(links, p1) && link_by_index(links, pl));
	assert_int_equal(link_set_backup_port(links, p1, pl, NULL, 0), 0);
	assert_int_equal(link_set_learning(links, pl, false, NULL, 0), 0);
	lab_run("bridge fdb replace 02:bb:00:00:00:01 dev p1 master static");

	static const uint8_t host[6] = {2, 0xbb, 0, 0, 0, 1};

	assert_string_equal(far_send(&f, &f.q1, host), "1");
	lab_run("ip link set h1 down");
	lab_until(base, !link_by_index(links, p1)->carrier);
	lab_port_close(&f.h1);
	f.h1.fd = f.h2.fd; /* h1 is down: its socket would only say so */
	assert_string_equal(far_send(&f, &f.q1, host), "p");
	assert_string_equal(far_send(&f, &f.pl, host), ""); /* not back where it came from */
	forward(i, "p1", false); /* the leg is held now: the redirection does not depend on it */
	assert_string_equal(far_send(&f, &f.q1, host), "p");
	link_close(links);
	isolation_close(i);
	lab_port_open(&f.h1, "h2");
	far_close(&f);
}

static void test_changes_are_idempotent_and_atomic(void **state)
{
	struct isolation *i;
	struct isolation_leg rows[3];
	char err[256] = "";
	const struct isolation_leg wanted[] = {
	    {.ifname = "p1", .forwarding = true, .isolated = true},
	    {.ifname = "p2", .forwarding = false, .isolated = true},
	    {.ifname = "pl", .forwarding = true},
	};
	const struct isolation_leg wrong[] = {{.ifname = "p1"}, {.ifname = "o1", .forwarding = true}};

	(void)state;
	lab_require_root();
	i = open_or_fail(&plain); /* no interface exists yet: names only */
	forward(i, "p1", true);
	forward(i, "p1", true);
	forward(i, "p2", false);
	isolate(i, "p2", false);
	assert_int_equal(isolation_adopted(i, rows, err, sizeof(err)), 0);
	assert_true(rows[0].forwarding && !rows[0].isolated && !rows[1].forwarding && !rows[2].forwarding);
	assert_string_equal(rows[0].ifname, "p1");
	assert_string_equal(rows[2].ifname, "pl");

	assert_int_equal(isolation_set(i, wanted, 3, err, sizeof(err)), 0);
	assert_int_equal(isolation_set(i, wanted, 3, err, sizeof(err)), 0);
	assert_int_equal(isolation_adopted(i, rows, err, sizeof(err)), 0);
	for (size_t n = 0; n < 3; n++) {
		assert_string_equal(rows[n].ifname, wanted[n].ifname);
		assert_int_equal(rows[n].forwarding, wanted[n].forwarding);
		assert_int_equal(rows[n].isolated, wanted[n].isolated);
	}
	assert_string_equal(err, "");

	/* all or none */
	assert_int_equal(isolation_set(i, wrong, 2, err, sizeof(err)), -ENODEV);
	assert_string_equal(err, "o1 is not a leg of the configuration");
	assert_int_equal(isolation_adopted(i, rows, err, sizeof(err)), 0);
	assert_true(rows[0].forwarding);
	assert_int_equal(isolation_forward(i, "o1", true, err, sizeof(err)), -ENODEV);
	assert_int_equal(isolation_isolate(i, "pl", true, err, sizeof(err)), -ENODEV);

	/* somebody took the table away: seen, not hidden */
	lab_run("nft delete table bridge mclagd");
	assert_int_equal(isolation_forward(i, "p1", true, err, sizeof(err)), -ENOENT);
	assert_int_equal(isolation_adopted(i, rows, err, sizeof(err)), -ENOENT);
	assert_int_equal(isolation_remove(i, err, sizeof(err)), 0);
	isolation_close(i);
}

static void test_refuses_bad_names(void **state)
{
	static const char *const bad[] = {"",     "a\"b", "a b", "p*", "x;y", "a/b", "..", "0123456789abcdef",
					  "p\n1", "{x}",  "p\\1"};
	struct isolation *i = NULL;
	char err[256];

	(void)state;
	lab_require_root();
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		const char *const legs[] = {"p1", bad[n]};
		struct isolation_config config = plain;

		config.legs = legs;
		assert_int_equal(isolation_open(&i, &config, err, sizeof(err)), -EINVAL);
		config = plain;
		config.peer_link = bad[n];
		assert_int_equal(isolation_open(&i, &config, err, sizeof(err)), -EINVAL);
	}
	struct isolation_config config = plain;

	config.table = "x; flush ruleset";
	assert_int_equal(isolation_open(&i, &config, err, sizeof(err)), -EINVAL);
	config = plain;
	config.peer_link = "p1";
	assert_int_equal(isolation_open(&i, &config, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "p1 is there twice");
	config = plain;
	config.control.confine = true;
	assert_int_equal(isolation_open(&i, &config, err, sizeof(err)), -EINVAL);
	assert_null(i);
	assert_true(lab_try("! nft list tables bridge | grep -q ."));
}

/* --- adoption ----------------------------------------------------------------------------------- */

static void test_adopts_what_the_last_one_left(void **state)
{
	static const char *const other_legs[] = {"p2", "p3"};
	struct isolation_config config = plain;
	struct isolation_leg rows[3];
	struct isolation *i;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	config.adopt = true;
	i = open_or_fail(&config); /* nothing to adopt: closed */
	assert_false(isolation_was_adopted(i));
	assert_string_equal(far_flood(&f, &f.q1), "b");
	forward(i, "p1", true);
	forward(i, "p2", true);
	forward(i, "pl", true);
	isolate(i, "p2", true);
	isolation_close(i);
	assert_string_equal(far_flood(&f, &f.q1), "12bp"); /* it outlives its maker */
	assert_string_equal(far_flood(&f, &f.pl), "1ab");

	/* other legs: what is common stays, what is new is held, what went is no business of ours any more */
	config.legs = other_legs;
	i = open_or_fail(&config);
	assert_true(isolation_was_adopted(i));
	assert_int_equal(isolation_adopted(i, rows, NULL, 0), 0);
	assert_true(rows[0].forwarding && rows[0].isolated);
	assert_true(!rows[1].forwarding && !rows[1].isolated);
	assert_true(rows[2].forwarding);
	assert_string_equal(far_flood(&f, &f.pl), "1ab"); /* p1 is an orphan now */
	lab_run("! nft list set bridge mclagd forwarding | grep -q p1");
	lab_run("! nft list set bridge mclagd legs | grep -q p1");
	isolation_close(i);

	/* without adopt: closed again */
	config = plain;
	i = open_or_fail(&config);
	assert_string_equal(far_flood(&f, &f.q1), "b");
	assert_int_equal(isolation_remove(i, NULL, 0), 0);
	assert_string_equal(far_flood(&f, &f.q1), "12bp");
	isolation_close(i);
	far_close(&f);
}

/* A table of another shape under our name: its elements are kept, its rules are not. */
static void test_adopts_another_version(void **state)
{
	struct isolation_config config = plain;
	struct isolation *i;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	lab_run("nft -f - <<'END'\n"
		"table bridge mclagd {\n"
		"set forwarding { type ifname; elements = { \"p1\", \"pl\", \"stranger\" }\n}\n"
		"set old { type ifname; elements = { \"p2\" }\n}\n"
		"chain ingress { type filter hook prerouting priority -300; policy accept; iifname \"p1\" "
		"drop\n}\n"
		"}\nEND");
	assert_string_equal(far_flood(&f, &f.h1), "");
	config.adopt = true;
	i = open_or_fail(&config);
	assert_true(isolation_was_adopted(i));
	assert_string_equal(far_flood(&f, &f.h1), "abp");
	assert_string_equal(far_flood(&f, &f.h2), "");
	lab_run("! nft list table bridge mclagd | grep -qE 'old|stranger|-300'");
	isolation_close(i);
	far_close(&f);
}

/* Frames flow while the table is adopted again and again: not one of them is lost. */
static void test_adoption_loses_no_frame(void **state)
{
	struct isolation_config config = plain;
	struct isolation *i;
	struct far f;
	struct lab_stream *sender;
	unsigned sent;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	i = open_or_fail(&config);
	forward(i, "p1", true);
	forward(i, "pl", true);
	isolation_close(i);
	config.adopt = true;
	sender = lab_stream_start(&f.h1, 77); /* another process, another CPU, until it is stopped */
	lab_until(NULL, lab_seen(&f.pl, 77) > 0);
	for (unsigned round = 0; round < 50; round++) {
		unsigned seen = lab_seen(&f.pl, 77);

		i = open_or_fail(&config);
		isolation_close(i);
		lab_until(NULL, lab_seen(&f.pl, 77) > seen);
	}
	sent = lab_stream_stop(sender);
	lab_until(NULL, lab_seen(&f.pl, 77) >= sent);
	assert_int_equal(lab_seen(&f.pl, 77), sent);
	assert_true(sent > 50);
	far_close(&f);
}

/* --- others touch the table --------------------------------------------------------------------- */

struct keeper {
	struct isolation_handler handler;
	struct event_base *base;
	struct isolation *i;
	unsigned repaired, failed;
};

static void on_repaired(struct isolation_handler *h)
{
	((struct keeper *)(void *)h)->repaired++;
}

static void on_failed(struct isolation_handler *h, int error, const char *text)
{
	assert_int_equal(error, -EPERM);
	assert_true(*text);
	((struct keeper *)(void *)h)->failed++;
}

/* p1 and the peer link are open, p1 is isolated, p2 is held. */
static void keeper_open(struct keeper *k, struct event_base *base)
{
	char err[256] = "";

	*k = (struct keeper){.handler = {on_repaired, on_failed}, .base = base, .i = open_or_fail(&plain)};
	if (isolation_watch(k->i, base, &k->handler, err, sizeof(err)))
		fail_msg("%s", err);
	forward(k->i, "p1", true);
	forward(k->i, "pl", true);
	isolate(k->i, "p1", true);
}

static void as_wished(struct far *f)
{
	assert_string_equal(far_flood(f, &f->q1), "1bp");
	assert_string_equal(far_flood(f, &f->h1), "abp");
	assert_string_equal(far_flood(f, &f->h2), "");
	assert_string_equal(far_flood(f, &f->pl), "ab");
}

static void test_is_made_again_at_once(void **state)
{
	struct keeper k;
	struct far f;
	uint64_t begin;

	lab_require_root();
	lab_bridge();
	far_open(&f);
	keeper_open(&k, *state);
	as_wished(&f);
	lab_run("nft flush ruleset");
	assert_string_equal(far_flood(&f, &f.h2), "1abp"); /* this is what must not last */
	begin = lab_now();
	lab_until(k.base, k.repaired == 1);
	print_message("made again %llu ms after it was looked for\n",
		      (unsigned long long)(lab_now() - begin));
	assert_in_range(lab_now() - begin, 0, 100);
	as_wished(&f);
	/* and works on */
	forward(k.i, "p2", true);
	assert_string_equal(far_flood(&f, &f.pl), "2ab");
	isolation_close(k.i);
	far_close(&f);
}

static void test_any_damage_is_mended(void **state)
{
	static const char *const damages[] = {
	    "delete table bridge mclagd",
	    "flush set bridge mclagd legs",
	    "flush chain bridge mclagd split",
	    "delete element bridge mclagd isolated { \"p1\" }",
	    "add element bridge mclagd forwarding { \"p2\" }",
	    "add element bridge mclagd legs { \"o1\" }",
	    "add table bridge mclagd { flags dormant; }",
	    "insert rule bridge mclagd egress accept",
	    "add set bridge mclagd more { type ifname; }",
	    "flush ruleset; add table bridge mclagd; add set bridge mclagd legs { type ifname; }",
	};
	struct keeper k;
	struct far f;

	lab_require_root();
	lab_bridge();
	far_open(&f);
	keeper_open(&k, *state);
	for (unsigned n = 0; n < sizeof(damages) / sizeof(damages[0]); n++) {
		lab_run("nft '%s'", damages[n]);
		lab_until(k.base, k.repaired > n);
		as_wished(&f);
	}
	assert_int_equal(isolation_counters(k.i).repairs, k.repaired);
	isolation_close(k.i);
	far_close(&f);
}

/* What we change ourselves, and what others have in tables of their own, is no damage. */
static void test_nothing_is_mended_that_is_whole(void **state)
{
	struct keeper k;
	uint64_t looks;

	lab_require_root();
	lab_bridge();
	keeper_open(&k, *state);
	lab_until(k.base, isolation_counters(k.i).looks > 0);
	looks = isolation_counters(k.i).looks;
	lab_run("nft 'add table bridge other; add chain bridge other c; add table inet mclagd'");
	forward(k.i, "p2", true);
	isolate(k.i, "p1", false);
	forward(k.i, "p1", false);
	lab_until(k.base, isolation_counters(k.i).looks > looks);
	lab_run("nft 'delete table bridge other; delete table inet mclagd'");
	/* a damage, and its repair, come after all that */
	lab_run("nft flush chain bridge mclagd ingress");
	lab_until(k.base, k.repaired == 1);
	assert_int_equal(k.failed, 0);
	isolation_close(k.i);
}

/* A change that finds the table gone, before the loop was told, makes it with the change in it. */
static void test_a_change_finds_the_table_gone(void **state)
{
	struct keeper k;
	struct far f;

	lab_require_root();
	lab_bridge();
	far_open(&f);
	keeper_open(&k, *state);
	lab_run("nft flush ruleset");
	forward(k.i, "p2", true);
	assert_int_equal(k.repaired, 1);
	assert_string_equal(far_flood(&f, &f.pl), "2ab");
	assert_string_equal(far_flood(&f, &f.h2), "1abp");
	isolation_close(k.i);
	far_close(&f);
}

/* What cannot be made is tried again; somebody who never stops is answered, and does not stop us. */
static void test_tries_until_it_can(void **state)
{
	struct keeper k;
	struct far f;
	uint64_t begin;

	lab_require_root();
	lab_bridge();
	far_open(&f);
	keeper_open(&k, *state);
	lab_run("nft flush ruleset");
	assert_int_equal(seteuid(65534), 0); /* no capabilities: the kernel refuses */
	lab_until(k.base, k.failed == 2);    /* it says so again */
	assert_int_equal(seteuid(0), 0);
	lab_until(k.base, k.repaired == 1);
	as_wished(&f);
	begin = lab_now();
	for (unsigned n = 0; n < 20; n++) {
		lab_run("nft flush ruleset");
		lab_until(k.base, k.repaired == 2 + n);
	}
	assert_true(lab_now() - begin >= 100); /* eight at once, then eight per tenth of a second */
	as_wished(&f);
	isolation_close(k.i);
	far_close(&f);
}

/* Before the daemon knows anything but names: held; and what a running one has open stays open. */
static void test_guards_by_name(void **state)
{
	struct isolation_config config = plain;
	struct isolation *i;
	struct far f;

	(void)state;
	lab_require_root();
	lab_bridge();
	far_open(&f);
	config.leg_count = 1;
	assert_int_equal(isolation_guard(&config, NULL, 0), 0);
	assert_string_equal(far_flood(&f, &f.q1), "2b");
	assert_string_equal(far_flood(&f, &f.h1), "");
	config.adopt = true;
	i = open_or_fail(&config);
	forward(i, "p1", true);
	forward(i, "pl", true);
	isolate(i, "p1", true);
	config.leg_count = 2;
	assert_int_equal(isolation_guard(&config, NULL, 0), 0);
	assert_string_equal(far_flood(&f, &f.h1), "abp"); /* p2 is a leg now, and held */
	assert_string_equal(far_flood(&f, &f.h2), "");
	assert_string_equal(far_flood(&f, &f.pl), "ab");
	config.adopt = false;
	assert_int_equal(isolation_guard(&config, NULL, 0), 0);
	assert_string_equal(far_flood(&f, &f.h1), "");
	isolation_close(i);
	far_close(&f);
}

/* --- control traffic and slow protocols --------------------------------------------------------- */

/* A UDP datagram in an Ethernet frame; its number stands behind the headers. */
struct datagram {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t number;
	uint8_t pad[21];
} __attribute__((packed));

static struct datagram datagram(const struct lab_port *from, const uint8_t to[6], const char *source,
				const char *target, uint8_t protocol, uint16_t port)
{
	struct datagram d = {
	    .eth.h_proto = htons(ETH_P_IP),
	    .ip = {.version = 4,
		   .ihl = 5,
		   .ttl = 64,
		   .protocol = protocol,
		   .tot_len = htons(sizeof(d) - sizeof(d.eth)),
		   .saddr = inet_addr(source),
		   .daddr = inet_addr(target)},
	    .udp = {.source = htons(40000), .dest = htons(port), .len = htons(8)},
	};
	uint32_t sum = 0;
	uint16_t words[10];

	memcpy(d.eth.h_dest, to, 6);
	memcpy(d.eth.h_source, from->mac, 6);
	memcpy(words, &d.ip, sizeof(words));
	for (size_t n = 0; n < 10; n++)
		sum += words[n];
	sum = (sum & 0xffff) + (sum >> 16);
	d.ip.check = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
	return d;
}

/* Where does it go? Letters as far_send, and L for the leaf's own interface. Ports are opened for IP here. */
struct ip_far {
	struct lab_port h1, q1, q2, pl, leaf;
	uint8_t last;
};

static const char *ip_send(struct ip_far *f, struct lab_port *from, const uint8_t to[6], const char *source,
			   const char *target, uint8_t protocol, uint16_t port)
{
	static char got[8];
	struct lab_port *const ports[] = {&f->h1, &f->q1, &f->q2, &f->pl, &f->leaf};
	struct datagram d = datagram(from, to, source, target, protocol, port);
	struct datagram marker = datagram(&f->q1, lab_broadcast, "10.9.9.1", "10.9.9.255", IPPROTO_UDP, 9);
	size_t n = 0;

	d.number = ++f->last;
	marker.number = ++f->last;
	lab_send_raw(from, &d, sizeof(d));
	lab_send_raw(&f->q1, &marker, sizeof(marker));
	lab_until(NULL, lab_seen_at(&f->q2, marker.number, offsetof(struct datagram, number)) == 1);
	for (size_t i = 0; i < 5; i++) {
		if (ports[i] != from && lab_seen_at(ports[i], d.number, offsetof(struct datagram, number)))
			got[n++] = "1abpL"[i];
	}
	got[n] = '\0';
	return got;
}

static struct isolation_address address(const char *text)
{
	struct isolation_address a = {.v6 = strchr(text, ':') != NULL};

	assert_int_equal(inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static void test_confines_control_traffic(void **state)
{
	static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x77};
	struct isolation_config config = plain;
	struct isolation *i;
	struct ip_far f = {.last = 0};

	(void)state;
	lab_require_root();
	lab_bridge();
	config.control = (struct isolation_control){
	    .confine = true,
	    .session_port = 7000,
	    .keepalive_port = 7001,
	    .own = {address("10.9.0.1"), address("fd00::1")},
	    .own_count = 2,
	    .peer = {address("10.9.0.2")},
	    .peer_count = 1,
	    .discovery = true,
	    .discovery_group = address("224.0.0.119"),
	    .discovery_port = 7002,
	};
	i = open_or_fail(&config);
	forward(i, "p1", true);
	forward(i, "pl", true);
	lab_port_open_for(&f.h1, "h1", ETH_P_IP);
	lab_port_open_for(&f.q1, "q1", ETH_P_IP);
	lab_port_open_for(&f.q2, "q2", ETH_P_IP);
	lab_port_open_for(&f.pl, "far", ETH_P_IP);
	lab_port_open_for(&f.leaf, "br0", ETH_P_IP);
	const uint8_t *leaf = f.leaf.mac;

	/* in: from the peer link only */
	assert_string_equal(ip_send(&f, &f.pl, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_UDP, 7001), "L");
	assert_string_equal(ip_send(&f, &f.pl, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_TCP, 7000), "L");
	assert_string_equal(ip_send(&f, &f.h1, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_UDP, 7001), "");
	assert_string_equal(ip_send(&f, &f.q1, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_TCP, 7000), "");
	assert_string_equal(ip_send(&f, &f.h1, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_UDP, 7003),
			    "L"); /* others' */

	/* out: to the peer link only, even flooded */
	assert_string_equal(ip_send(&f, &f.leaf, lab_broadcast, "10.9.0.1", "10.9.0.2", IPPROTO_UDP, 7001),
			    "p");
	assert_string_equal(ip_send(&f, &f.leaf, lab_broadcast, "10.9.0.1", "10.9.0.2", IPPROTO_TCP, 7000),
			    "p");
	assert_string_equal(ip_send(&f, &f.leaf, lab_broadcast, "10.9.0.1", "10.9.0.2", IPPROTO_UDP, 7003),
			    "1abp");

	/* through: nobody's host speaks to the peer in our name */
	assert_string_equal(ip_send(&f, &f.h1, lab_broadcast, "10.9.0.1", "10.9.0.2", IPPROTO_UDP, 7001),
			    "L");
	assert_string_equal(ip_send(&f, &f.h1, lab_broadcast, "10.9.0.7", "10.9.0.2", IPPROTO_UDP, 7003),
			    "abpL");

	/* discovery */
	assert_string_equal(ip_send(&f, &f.pl, group, "10.9.0.2", "224.0.0.119", IPPROTO_UDP, 7002), "L");
	assert_string_equal(ip_send(&f, &f.h1, group, "10.9.0.2", "224.0.0.119", IPPROTO_UDP, 7002), "");
	assert_string_equal(ip_send(&f, &f.leaf, group, "10.9.0.1", "224.0.0.119", IPPROTO_UDP, 7002), "p");

	/* the session needs the peer link when it is closed for data, too */
	forward(i, "pl", false);
	assert_string_equal(ip_send(&f, &f.pl, leaf, "10.9.0.2", "10.9.0.1", IPPROTO_UDP, 7001), "L");
	assert_string_equal(ip_send(&f, &f.leaf, lab_broadcast, "10.9.0.1", "10.9.0.2", IPPROTO_UDP, 7001),
			    "p");
	isolation_close(i);
	lab_port_close(&f.h1);
	lab_port_close(&f.q1);
	lab_port_close(&f.q2);
	lab_port_close(&f.pl);
	lab_port_close(&f.leaf);
}

struct pdus {
	struct lacpdu_handler handler;
	unsigned received;
};

static void on_pdu(struct lacpdu_handler *h, const uint8_t source[6], const uint8_t *payload, size_t length)
{
	(void)source;
	(void)payload;
	(void)length;
	((struct pdus *)(void *)h)->received++;
}

static void on_down(struct lacpdu_handler *h, int error)
{
	(void)h;
	fail_msg("down: %d", error);
}

/* LACP lives on a held leg, and its source address is not learned there when the bridge is told so. */
static void test_slow_protocols_pass_a_held_leg(void **state)
{
	struct event_base *base = *state;
	struct pdus leaf = {.handler = {on_pdu, on_down}};
	struct pdus host = {.handler = {on_pdu, on_down}};
	struct link_handler handler = told;
	struct lacpdu_socket *at_leaf, *at_host;
	struct links *links;
	struct isolation *i;
	uint8_t pdu[110] = {1, 1};
	uint8_t mac[6];
	struct lab_port h1;

	lab_require_root();
	lab_bridge();
	i = open_or_fail(&plain);
	lab_port_open(&h1, "h1");
	assert_int_equal(link_open(&links, base, 0, &handler, NULL, 0), 0);
	lab_mac("p1", mac);
	assert_int_equal(lacpdu_open(&at_leaf, base, lab_index("p1"), mac, &leaf.handler, NULL, 0), 0);
	assert_int_equal(lacpdu_open(&at_host, base, lab_index("h1"), h1.mac, &host.handler, NULL, 0), 0);

	assert_int_equal(link_set_linklocal_learning(links, lab_index("br0"), false, NULL, 0), 0);
	assert_int_equal(lacpdu_send(at_leaf, pdu, sizeof(pdu)), 0);
	assert_int_equal(lacpdu_send(at_host, pdu, sizeof(pdu)), 0);
	lab_until(base, leaf.received == 1 && host.received == 1);
	assert_false(bridge_knows(&h1));

	/* the kernel's default would: why the setter exists */
	assert_int_equal(link_set_linklocal_learning(links, lab_index("br0"), true, NULL, 0), 0);
	assert_int_equal(lacpdu_send(at_host, pdu, sizeof(pdu)), 0);
	lab_until(base, leaf.received == 2);
	assert_true(bridge_knows(&h1));
	lacpdu_close(at_leaf);
	lacpdu_close(at_host);
	link_close(links);
	isolation_close(i);
	lab_port_close(&h1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_starts_closed_and_opens_leg_by_leg, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_leaf_itself, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_split_horizon, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_backup_port_redirects, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_changes_are_idempotent_and_atomic, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_bad_names, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_adopts_what_the_last_one_left, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_adopts_another_version, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_adoption_loses_no_frame, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_is_made_again_at_once, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_any_damage_is_mended, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_is_mended_that_is_whole, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_a_change_finds_the_table_gone, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_tries_until_it_can, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_guards_by_name, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_confines_control_traffic, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_slow_protocols_pass_a_held_leg, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests_name("netlink/isolation", tests, NULL, NULL);
}
