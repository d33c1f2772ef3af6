/* SPDX-License-Identifier: ISC */
/*
 * fdb against the real kernel: writes in batches, what is told, dumps, overruns, activity.
 */
#include "netlab.h"
#include "netlink/fdb.h"
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#define MANY 2000

/* A copy of the table, kept as the daemon would: marks at a dump, sweep at its end. Only MACs 02:aa:00:00:..
 * count.
 */
struct row {
	bool there, marked;
	struct fdb_entry entry;
};

struct copy {
	struct fdb_handler handler;
	struct row rows[MANY];
	unsigned told, overruns, begins, ends, written, refused, told_in_dump;
	bool dumping;
	int end_status;
	struct fdb_entry refused_entry;
	enum fdb_write refused_write;
	int refused_error;
	char refused_text[256];
};

#define COPY(h) ((struct copy *)(void *)(h))

static struct fdb_entry entry_of(unsigned number, int ifindex)
{
	return (struct fdb_entry){
	    .ifindex = ifindex,
	    .mac = {0x02, 0xaa, 0, 0, (uint8_t)(number >> 8), (uint8_t)number},
	    .state = FDB_STATIC,
	};
}

static struct row *row_of(struct copy *c, const struct fdb_entry *entry)
{
	static const uint8_t ours[] = {0x02, 0xaa, 0, 0};
	unsigned number = (unsigned)entry->mac[4] << 8 | entry->mac[5];

	return !memcmp(entry->mac, ours, sizeof(ours)) && number < MANY ? &c->rows[number] : NULL;
}

static void on_changed(struct fdb_handler *h, enum fdb_change change, const struct fdb_entry *entry)
{
	struct row *row = row_of(COPY(h), entry);

	COPY(h)->told++;
	if (COPY(h)->dumping)
		COPY(h)->told_in_dump++;
	if (!row)
		return;
	row->there = change == FDB_NEW;
	row->entry = *entry;
}

static void on_overrun(struct fdb_handler *h)
{
	COPY(h)->overruns++;
}

static void on_begin(struct fdb_handler *h)
{
	COPY(h)->begins++;
	COPY(h)->dumping = true;
	for (unsigned i = 0; i < MANY; i++)
		COPY(h)->rows[i].marked = false;
}

static void on_entry(struct fdb_handler *h, const struct fdb_entry *entry)
{
	struct row *row = row_of(COPY(h), entry);

	if (row)
		*row = (struct row){.there = true, .marked = true, .entry = *entry};
}

static void on_end(struct fdb_handler *h, int status, const char *text)
{
	assert_non_null(text);
	COPY(h)->ends++;
	COPY(h)->dumping = false;
	COPY(h)->end_status = status;
	for (unsigned i = 0; i < MANY && !status; i++)
		COPY(h)->rows[i].there = COPY(h)->rows[i].there && COPY(h)->rows[i].marked;
}

static void on_refused(struct fdb_handler *h, enum fdb_write write, const struct fdb_entry *entry, int error,
		       const char *text)
{
	struct copy *c = COPY(h);

	c->refused++;
	c->refused_write = write;
	c->refused_entry = *entry;
	c->refused_error = error;
	(void)snprintf(c->refused_text, sizeof(c->refused_text), "%s", text);
}

static void on_written(struct fdb_handler *h)
{
	COPY(h)->written++;
}

static struct copy copy; /* too large for a stack */

static struct fdb *copy_open(struct event_base *base, int receive_buffer)
{
	struct fdb_config config = {.receive_buffer = receive_buffer};
	struct fdb *fdb = NULL;
	char err[256] = "";

	memset(&copy, 0, sizeof(copy));
	copy.handler =
	    (struct fdb_handler){on_changed, on_overrun, on_begin, on_entry, on_end, on_refused, on_written};
	if (fdb_open(&fdb, base, &config, &copy.handler, err, sizeof(err)))
		fail_msg("%s", err);
	return fdb;
}

static unsigned there(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		n += copy.rows[i].there;
	return n;
}

/* What the kernel says, by another program; shown when it says something else. */
static bool kernel_has(unsigned count, const char *filter)
{
	static const char list[] = "bridge fdb show br br0 | grep '^02:aa:00:00:'";

	if (lab_try("test $(%s | grep -c -- '%s') = %u", list, filter, count))
		return true;
	(void)lab_try("%s | head -20", list);
	return false;
}

static void add_many(struct fdb *fdb, int ifindex, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct fdb_entry entry = entry_of(i, ifindex);

		assert_int_equal(fdb_add(fdb, &entry), 0);
	}
}

static void delete_many(struct fdb *fdb, int ifindex, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct fdb_entry entry = entry_of(i, ifindex);

		assert_int_equal(fdb_delete(fdb, &entry), 0);
	}
}

static void test_adds_tells_dumps_deletes(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	int p1, br;

	lab_require_root();
	lab_bridge();
	p1 = lab_index("p1");
	br = lab_index("br0");
	fdb = copy_open(base, 0);
	add_many(fdb, p1, 0, MANY);
	assert_int_equal(fdb_pending(fdb), MANY);
	lab_until(base, there() == MANY && copy.written == 1);
	assert_int_equal(fdb_pending(fdb), 0);
	assert_int_equal(fdb_counters(fdb).batches, (MANY + FDB_BATCH - 1) / FDB_BATCH);
	assert_int_equal(copy.rows[17].entry.ifindex, p1);
	assert_int_equal(copy.rows[17].entry.bridge, br);
	assert_int_equal(copy.rows[17].entry.state, FDB_STATIC);
	assert_int_equal(copy.rows[17].entry.vlan, 0);
	assert_true(kernel_has(MANY, "static"));

	memset(copy.rows, 0, sizeof(copy.rows));
	assert_int_equal(fdb_dump(fdb, br, NULL, 0), 0);
	lab_until(base, copy.ends == 1);
	assert_int_equal(copy.end_status, 0);
	assert_int_equal(there(), MANY);

	delete_many(fdb, p1, 0, MANY);
	lab_until(base, there() == 0);
	assert_true(kernel_has(0, ""));

	/* what is not there is deleted already */
	delete_many(fdb, p1, 0, 5);
	lab_until(base, fdb_pending(fdb) == 0);
	assert_int_equal(fdb_counters(fdb).absent, 5);
	assert_int_equal(copy.refused, 0);
	assert_int_equal(fdb_counters(fdb).malformed, 0);
	fdb_close(fdb);
}

/* An entry the kernel refuses costs its neighbours in the batch nothing, and is told by name. */
static void test_refusal_finds_its_entry(void **state)
{
	struct fdb *fdb;
	struct fdb_entry bad;
	int p1;

	lab_require_root();
	lab_bridge();
	p1 = lab_index("p1");
	fdb = copy_open(*state, 0);
	add_many(fdb, p1, 0, 50);
	bad = entry_of(50, lab_index("h1")); /* no port of a bridge */
	assert_int_equal(fdb_add(fdb, &bad), 0);
	add_many(fdb, p1, 51, 100);
	fdb_flush(fdb);
	assert_int_equal(copy.refused, 1);
	assert_int_equal(copy.refused_write, FDB_ADD);
	assert_int_equal(copy.refused_entry.ifindex, bad.ifindex);
	assert_memory_equal(copy.refused_entry.mac, bad.mac, 6);
	assert_int_equal(copy.refused_error, -EOPNOTSUPP);
	assert_string_equal(copy.refused_text, "Operation not supported");
	assert_true(kernel_has(99, ""));

	/* the last of a batch, which is asked for its acknowledgement */
	bad = entry_of(60, 4711);
	assert_int_equal(fdb_add(fdb, &bad), 0);
	fdb_flush(fdb);
	assert_int_equal(copy.refused, 2);
	assert_int_equal(copy.refused_error, -ENODEV);
	assert_string_equal(copy.refused_text, "unknown ifindex"); /* the kernel's extended acknowledgement */
	assert_int_equal(copy.written, 2);

	/* all of them */
	add_many(fdb, 4711, 0, 300);
	fdb_flush(fdb);
	assert_int_equal(copy.refused, 302);
	assert_int_equal(fdb_counters(fdb).refused, 302);
	fdb_close(fdb);
}

static void test_kinds_come_back_as_written(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	struct fdb_entry e[5];
	int p1;

	lab_require_root();
	lab_bridge();
	p1 = lab_index("p1");
	fdb = copy_open(base, 0);
	for (unsigned i = 0; i < 5; i++)
		e[i] = entry_of(i, p1);
	e[0].state = FDB_DYNAMIC;
	e[1].state = FDB_DYNAMIC;
	e[1].ext_learned = true;
	e[2].sticky = true;
	e[3].activity = FDB_ACTIVITY_ACTIVE;
	e[4].activity = FDB_ACTIVITY_INACTIVE;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(fdb_add(fdb, &e[i]), 0);
	lab_until(base, there() == 5);
	for (unsigned i = 0; i < 5; i++) {
		const struct fdb_entry *told = &copy.rows[i].entry;

		assert_int_equal(told->state, e[i].state);
		assert_int_equal(told->ext_learned, e[i].ext_learned);
		assert_int_equal(told->sticky, e[i].sticky);
		assert_int_equal(told->activity, e[i].activity);
	}
	assert_int_equal(copy.refused, 0);

	/* an add replaces, and moves */
	e[2].sticky = false;
	e[2].ifindex = lab_index("p2");
	assert_int_equal(fdb_add(fdb, &e[2]), 0);
	lab_until(base, copy.rows[2].entry.ifindex == e[2].ifindex);
	assert_true(kernel_has(1, "dev p2"));
	fdb_close(fdb);
}

static void test_refuses_what_cannot_be(void **state)
{
	struct fdb *fdb;
	struct fdb_entry e;

	lab_require_root();
	fdb = copy_open(*state, 0);
	e = entry_of(1, 1);
	e.state = FDB_LOCAL;
	assert_int_equal(fdb_add(fdb, &e), -EINVAL);
	e = entry_of(1, 1);
	e.ext_learned = true;
	assert_int_equal(fdb_add(fdb, &e), -EINVAL);
	e = entry_of(1, 1);
	e.state = FDB_DYNAMIC;
	e.activity = FDB_ACTIVITY_ACTIVE;
	assert_int_equal(fdb_add(fdb, &e), -EINVAL);
	e = entry_of(1, 1);
	e.mac[0] |= 1;
	assert_int_equal(fdb_add(fdb, &e), -EINVAL);
	memset(e.mac, 0, 6);
	assert_int_equal(fdb_delete(fdb, &e), -EINVAL);
	e = entry_of(1, 0);
	assert_int_equal(fdb_delete(fdb, &e), -EINVAL);
	e = entry_of(1, 1);
	e.vlan = 4095;
	assert_int_equal(fdb_delete(fdb, &e), -EINVAL);
	assert_int_equal(fdb_pending(fdb), 0);

	/* growth has an end, and it is counted */
	e = entry_of(1, 1);
	for (unsigned i = 0; i < FDB_QUEUE_MAX; i++) {
		if (fdb_delete(fdb, &e))
			fail_msg("refused at %u", i);
	}
	assert_int_equal(fdb_delete(fdb, &e), -ENOBUFS);
	assert_int_equal(fdb_counters(fdb).excess, 1);
	fdb_close(fdb);
}

static void test_activity_comes_and_goes(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	struct fdb_entry e;
	struct lab_port h1;

	lab_require_root();
	lab_bridge();
	lab_run("ip link set br0 type bridge ageing_time 100"); /* 1 s */
	lab_port_open(&h1, "h1");
	fdb = copy_open(base, 0);
	e = entry_of(3, lab_index("p1"));
	e.activity = FDB_ACTIVITY_ACTIVE;
	assert_int_equal(fdb_add(fdb, &e), 0);
	lab_until(base, copy.rows[3].entry.activity == FDB_ACTIVITY_ACTIVE);
	lab_until(base, copy.rows[3].entry.activity == FDB_ACTIVITY_INACTIVE);
	memcpy(h1.mac, e.mac, 6);
	lab_send(&h1, lab_broadcast, 1);
	lab_until(base, copy.rows[3].entry.activity == FDB_ACTIVITY_ACTIVE);
	lab_until(base, copy.rows[3].entry.activity == FDB_ACTIVITY_INACTIVE);
	assert_true(copy.rows[3].there);
	lab_port_close(&h1);
	fdb_close(fdb);
}

/* The reason why legs' entries are static: a cut takes the learned ones only. */
static void test_static_outlives_the_carrier(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	struct fdb_entry e;
	struct lab_port h1;

	lab_require_root();
	lab_bridge();
	lab_port_open(&h1, "h1");
	fdb = copy_open(base, 0);
	e = entry_of(1, lab_index("p1"));
	e.activity = FDB_ACTIVITY_ACTIVE;
	assert_int_equal(fdb_add(fdb, &e), 0);
	memcpy(h1.mac, entry_of(2, 1).mac, 6);
	lab_send(&h1, lab_broadcast, 1);
	lab_until(base, copy.rows[1].there && copy.rows[2].there);
	assert_int_equal(copy.rows[2].entry.state, FDB_DYNAMIC);

	lab_run("ip link set h1 down");
	lab_until(base, !copy.rows[2].there);
	assert_true(copy.rows[1].there);
	assert_int_equal(fdb_dump(fdb, lab_index("br0"), NULL, 0), 0);
	lab_until(base, copy.ends == 1);
	assert_true(copy.rows[1].there && !copy.rows[2].there);
	/* and can be written while there is no carrier */
	e = entry_of(4, lab_index("p1"));
	assert_int_equal(fdb_add(fdb, &e), 0);
	lab_until(base, copy.rows[4].there);
	lab_port_close(&h1);
	fdb_close(fdb);
}

static void test_overrun_ends_in_the_truth(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	struct fdb_entry e;
	int p1;

	lab_require_root();
	lab_bridge();
	p1 = lab_index("p1");
	fdb = copy_open(base, 1); /* the kernel's least */
	add_many(fdb, p1, 0, MANY);
	fdb_flush(fdb); /* without a turn of the loop: nobody reads the events */
	delete_many(fdb, p1, 0, 500);
	fdb_flush(fdb);
	assert_int_equal(copy.overruns, 0);
	lab_until(base, copy.overruns == 1);
	assert_int_equal(there(),
			 0); /* what was still queued is not told: it is older than the dump to come */
	assert_int_equal(fdb_counters(fdb).overruns, 1);
	assert_true(fdb_counters(fdb).discarded > 0);

	assert_int_equal(fdb_dump(fdb, lab_index("br0"), NULL, 0), 0);
	assert_int_equal(copy.begins, 1);
	lab_until(base, copy.ends == 1);
	assert_int_equal(copy.end_status, 0);
	assert_int_equal(there(), MANY - 500);
	assert_true(kernel_has(MANY - 500, ""));

	/* the socket goes on */
	e = entry_of(0, p1);
	assert_int_equal(fdb_add(fdb, &e), 0);
	lab_until(base, copy.rows[0].there);
	fdb_close(fdb);
}

/* Changes during a dump are told after it, so that a portion read early cannot undo them. */
static void test_dump_and_changes_agree(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;
	int p1, br;

	lab_require_root();
	lab_bridge();
	p1 = lab_index("p1");
	br = lab_index("br0");
	fdb = copy_open(base, 0);
	add_many(fdb, p1, 0, MANY);
	lab_until(base, there() == MANY);
	for (unsigned round = 0; round < 4; round++) {
		unsigned from = round * 400;

		assert_int_equal(fdb_dump(fdb, br, NULL, 0), 0);
		/* the first portion was made inside that call, and is not read yet */
		delete_many(fdb, p1, from, from + 400);
		fdb_flush(fdb);
		lab_turn(base);
		add_many(fdb, p1, from, from + 200);
		fdb_flush(fdb);
		lab_until(base, copy.ends == round + 1 && copy.rows[from + 199].there &&
				    there() == MANY - 200 * (round + 1));
	}
	assert_int_equal(copy.told_in_dump, 0);
	assert_true(kernel_has(MANY - 800, ""));
	/* asked twice: one begin more, one end only */
	assert_int_equal(fdb_dump(fdb, br, NULL, 0), 0);
	assert_int_equal(fdb_dump(fdb, br, NULL, 0), 0);
	lab_until(base, copy.ends == 5);
	assert_int_equal(copy.begins, 6);
	assert_int_equal(there(), MANY - 800);
	fdb_close(fdb);
}

static void test_tells_of_one_bridge_only(void **state)
{
	struct event_base *base = *state;
	struct fdb *fdb;

	lab_require_root();
	lab_bridge();
	lab_run("ip link add br1 type bridge && ip link set br1 up && ip link set h2 master br1");
	lab_run("bridge fdb add 02:aa:00:00:00:01 dev p1 master static && "
		"bridge fdb add 02:aa:00:00:00:02 dev h2 master static && "
		"bridge fdb add 02:aa:00:00:00:03 dev p1 self");
	fdb = copy_open(base, 0);
	assert_int_equal(fdb_dump(fdb, lab_index("br0"), NULL, 0), 0);
	lab_until(base, copy.ends == 1);
	assert_true(copy.rows[1].there && !copy.rows[2].there && !copy.rows[3].there);
	/* a bridge that is not */
	assert_int_equal(fdb_dump(fdb, 4711, NULL, 0), 0);
	lab_until(base, copy.ends == 2);
	assert_true(copy.end_status < 0);
	assert_true(copy.rows[1].there);
	fdb_close(fdb);
}

/* A message built by hand. */
struct crafted {
	struct nlmsghdr header;
	struct ndmsg nd;
	struct nlattr lladdr;
	uint8_t mac[8];
	struct nlattr master;
	uint32_t bridge;
	struct nlattr ext;
	struct nlattr notify;
	uint32_t bits;
};

static struct crafted craft(void)
{
	return (struct crafted){
	    .header = {.nlmsg_len = sizeof(struct crafted), .nlmsg_type = RTM_NEWNEIGH},
	    .nd = {.ndm_family = AF_BRIDGE, .ndm_ifindex = 3, .ndm_state = NUD_NOARP},
	    .lladdr = {.nla_len = 10, .nla_type = NDA_LLADDR},
	    .mac = {2, 0, 0, 0, 0, 1},
	    .master = {.nla_len = 8, .nla_type = NDA_MASTER},
	    .bridge = 9,
	    .ext = {.nla_len = 12, .nla_type = NDA_FDB_EXT_ATTRS | NLA_F_NESTED},
	    .notify = {.nla_len = 5, .nla_type = NFEA_ACTIVITY_NOTIFY},
	    .bits = 3,
	};
}

static void test_parse_trusts_nobody(void **state)
{
	struct crafted c = craft();
	enum fdb_change change = FDB_GONE;
	struct fdb_entry e;

	(void)state;
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), 0);
	assert_int_equal(change, FDB_NEW);
	assert_int_equal(e.bridge, 9);
	assert_int_equal(e.activity, FDB_ACTIVITY_INACTIVE);
	memset(&e, 0xaa, sizeof(e));
	for (size_t length = 0; length < sizeof(c); length++)
		assert_int_equal(fdb_parse(&c, length, &change, &e), -EBADMSG);
	c.nd.ndm_flags = NTF_SELF;
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -ENOMSG);
	c = craft();
	c.nd.ndm_family = AF_INET;
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -ENOMSG);
	c = craft();
	c.header.nlmsg_type = RTM_NEWLINK;
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -ENOMSG);
	c = craft();
	c.master.nla_type = NDA_CACHEINFO; /* nobody's entry */
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -ENOMSG);
	c = craft();
	c.lladdr.nla_len = 9; /* five bytes are no MAC */
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -EBADMSG);
	c = craft();
	c.lladdr.nla_len = 12; /* nor are eight */
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -EBADMSG);
	c = craft();
	c.master.nla_type = NDA_VLAN;
	c.bridge = 4095;
	c.ext.nla_type = NDA_MASTER;
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -EBADMSG);
	c = craft();
	c.notify.nla_len = 200;                                     /* past its nest */
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), 0); /* libnl ends a list there: no activity */
	assert_int_equal(e.activity, FDB_ACTIVITY_NONE);
	c = craft();
	c.notify.nla_len = 4; /* no byte in it */
	assert_int_equal(fdb_parse(&c, sizeof(c), &change, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_adds_tells_dumps_deletes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_refusal_finds_its_entry, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_kinds_come_back_as_written, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_what_cannot_be, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_activity_comes_and_goes, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_static_outlives_the_carrier, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_overrun_ends_in_the_truth, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_dump_and_changes_agree, lab_setup, lab_teardown),
	    cmocka_unit_test_setup_teardown(test_tells_of_one_bridge_only, lab_setup, lab_teardown),
	    cmocka_unit_test(test_parse_trusts_nobody),
	};

	return cmocka_run_group_tests_name("netlink/fdb", tests, NULL, NULL);
}
