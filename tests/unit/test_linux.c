/* SPDX-License-Identifier: ISC */
/*
 * The switch that is a Linux bridge, against the real kernel: what the daemon would be told and what its
 * requests do. netlab.h has the lab: legs p1 (mclag 1, LACP) and p2 (mclag 2, static), orphans o1 o2, peer
 * link pl, via br0.
 */
#include "core/lacpdu.h"
#include "mclagd/switch.h"
#include "netlab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS_MAX  512
#define NOTICES_MAX 32
#define LACP        0x8809

struct rig {
	struct switch_events events;
	struct event_base *base;
	struct config *config;
	struct switch_driver *sw;
	struct event log[EVENTS_MAX];
	size_t count;
	char notices[NOTICES_MAX][256];
	size_t notice_count;
	bool closes_lost_legs; /* as the core does, from inside the event */
	char why[256];
};

static const struct place LEG1 = {.kind = PLACE_LEG, .mclag = 1}, LEG2 = {.kind = PLACE_LEG, .mclag = 2},
			  PEER_LINK = {.kind = PLACE_PEER_LINK};

static void on_event(struct switch_events *self, const struct event *e)
{
	struct rig *r = (struct rig *)(void *)((char *)self - offsetof(struct rig, events));
	assert_true(r->count < EVENTS_MAX);
	r->log[r->count++] = *e;
	if (r->closes_lost_legs && e->kind == EVENT_LINK && !e->link.carrier) {
		switch_perform(r->sw,
			       &(struct action){.kind = ACTION_FORWARD, .gate = {e->link.port, false}});
		switch_flush(r->sw);
	}
}

static void on_notice(struct switch_events *self, const char *text)
{
	struct rig *r = (struct rig *)(void *)((char *)self - offsetof(struct rig, events));
	snprintf(r->notices[r->notice_count++ % NOTICES_MAX], sizeof(r->notices[0]), "%s", text);
}

static void rig_init(struct rig *r, void **state)
{
	lab_require_root();
	lab_bridge();
	lab_run("ip addr add 192.0.2.1/24 dev br0");
	*r = (struct rig){.events = {.event = on_event, .notice = on_notice},
			  .base = *state,
			  .config = calloc(1, sizeof(struct config))};
	assert_non_null(r->config);
	*r->config = (struct config){.bridge = "br0",
				     .peer_link = "pl",
				     .via = {.interface = "br0", .address = "192.0.2.1", .peer = "192.0.2.2"},
				     .session_port = 5911,
				     .keepalive_port = 5911,
				     .mclag_count = 2,
				     .mclags = {{.id = 1, .port = "p1", .lacp = SPEAKER_ENGINE},
						{.id = 2, .port = "p2", .lacp = SPEAKER_STATIC}}};
}

static void rig_open(struct rig *r, bool resume)
{
	if (switch_open(&r->sw, r->base, r->config, resume, &r->events, r->why, sizeof(r->why)))
		fail_msg("%s", r->why);
}

static void rig_close(struct rig *r)
{
	switch_close(r->sw);
	r->sw = NULL;
}

static void rig_end(struct rig *r)
{
	rig_close(r);
	free(r->config);
}

static bool same_place(struct place a, struct place b)
{
	return a.kind == b.kind && a.mclag == b.mclag && a.port == b.port;
}

static size_t count_kind(const struct rig *r, enum event_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < r->count; i++)
		n += r->log[i].kind == kind;
	return n;
}

static bool has_notice(const struct rig *r, const char *text)
{
	for (size_t i = 0; i < NOTICES_MAX; i++)
		if (strcmp(r->notices[i], text) == 0)
			return true;
	return false;
}

/* The last that was told of the port; NULL = nothing yet. */
static const struct link_event *last_link(const struct rig *r, struct place port)
{
	for (size_t i = r->count; i-- > 0;)
		if (r->log[i].kind == EVENT_LINK && same_place(r->log[i].link.port, port))
			return &r->log[i].link;
	return NULL;
}

static bool carrier_is(const struct rig *r, struct place port, bool carrier)
{
	const struct link_event *l = last_link(r, port);
	return l && l->carrier == carrier;
}

static const struct entry_event *last_entry(const struct rig *r, struct mac mac)
{
	for (size_t i = r->count; i-- > 0;)
		if (r->log[i].kind == EVENT_ENTRY && mac_equal(r->log[i].entry.mac, mac))
			return &r->log[i].entry;
	return NULL;
}

static bool sighted(const struct rig *r, struct mac mac, struct place place, enum sighting sighting)
{
	const struct entry_event *e = last_entry(r, mac);
	return e && same_place(e->place, place) && e->sighting == sighting && e->vlan == 0;
}

static struct mac mac_of(uint8_t last)
{
	return (struct mac){{0x02, 0xbb, 0, 0, 0, last}};
}

static struct place orphan(const char *name)
{
	return (struct place){.kind = PLACE_ORPHAN, .port = lab_index(name)};
}

static void perform_gate(struct rig *r, enum action_kind kind, struct place port, bool on)
{
	switch_perform(r->sw, &(struct action){.kind = kind, .gate = {port, on}});
}

static void perform_entry(struct rig *r, enum action_kind kind, struct mac mac, struct place place,
			  bool active)
{
	switch_perform(
	    r->sw, &(struct action){.kind = kind, .program = {.mac = mac, .place = place, .active = active}});
}

static void expect_legs(struct rig *r, bool forward1, bool isolate1, bool forward2, bool isolate2,
			bool peer_link)
{
	struct switch_leg legs[3];
	bool open;
	assert_int_equal(switch_legs(r->sw, legs, 3, &open), 2);
	assert_int_equal(legs[0].mclag, 1);
	assert_int_equal(legs[0].forwarding, forward1);
	assert_int_equal(legs[0].isolated, isolate1);
	assert_int_equal(legs[1].mclag, 2);
	assert_int_equal(legs[1].forwarding, forward2);
	assert_int_equal(legs[1].isolated, isolate2);
	assert_int_equal(open, peer_link);
}

/* Learning off on the peer link, the peer link as backup port of the leg. */
static bool is_set_up(const char *leg)
{
	return lab_try("bridge -d link show dev pl | grep -q 'learning off'") &&
	       lab_try("bridge -d link show dev %s | grep -q 'backup_port pl'", leg);
}

static void make_port(const char *name, const char *far)
{
	lab_run("ip link add %s type veth peer %s && ip link set %s up && ip link set %s up && "
		"ip link set %s master br0",
		name, far, far, name, name);
}

/* --- opening ----------------------------------------------------------------------------------------- */

static void expect_refused(struct rig *r, const char *why)
{
	assert_true(switch_open(&r->sw, r->base, r->config, false, &r->events, r->why, sizeof(r->why)) < 0);
	assert_null(r->sw);
	assert_string_equal(r->why, why);
}

static bool nothing_forwards(void)
{
	return lab_try("nft list set bridge mclagd legs | grep -q p1") &&
	       lab_try("! nft list set bridge mclagd forwarding | grep -q elements");
}

/* What can never work, and what nothing can do without. Each error names the interface; the gates are closed
 * all the same, and nothing else has been changed. */
static void refused(void **state)
{
	struct rig r;
	rig_init(&r, state);
	const struct config good = *r.config;
	strcpy(r.config->bridge, "br9");
	expect_refused(&r, "br9 (bridge): there is no such bridge");
	strcpy(r.config->bridge, "p1");
	expect_refused(&r, "p1 (bridge): there is no such bridge");
	*r.config = good;
	strcpy(r.config->via.interface, "h1");
	expect_refused(
	    &r, "h1 (via): neither a VLAN of pl nor br0 nor a VLAN of it, so it does not ride the peer link");
	*r.config = good;
	r.config->via.address[0] = r.config->via.peer[0] = 0;
	lab_run("ip addr flush dev br0");
	expect_refused(&r, "br0 (via): has no address yet, so the peer cannot be found over it");
	assert_true(nothing_forwards());
	assert_false(is_set_up("p1"));
	rig_end(&r);
}

/* Before anything is there; and a second time it does not disturb what runs. */
static void gates_closed_early(void **state)
{
	static const struct config names = {.peer_link = "pl",
					    .mclag_count = 2,
					    .mclags = {{.id = 1, .port = "p1"}, {.id = 2, .port = "p2"}}};
	char why[256];
	struct rig r;
	lab_require_root();
	assert_int_equal(switch_close_gates(&names, why, sizeof(why)), 0);
	assert_true(nothing_forwards());
	rig_init(&r, state);
	rig_open(&r, false);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	switch_flush(r.sw);
	assert_int_equal(switch_close_gates(r.config, r.why, sizeof(r.why)), 0);
	expect_legs(&r, true, false, false, false, false);
	rig_end(&r);
}

/* A leaf that starts without a leg, without one in the bridge, and without its peer link: held, told, and used
 * when they come. */
static void ports_missing(void **state)
{
	struct rig r;
	rig_init(&r, state);
	lab_run("ip link del p1; ip link set p2 nomaster; ip link del pl");
	rig_open(&r, false);
	assert_true(has_notice(&r, "p1 (mclag 1): there is no such interface; held until there is"));
	assert_true(has_notice(&r, "p2 (mclag 2): is no port of br0; held until it is"));
	assert_true(has_notice(&r, "pl (peer link): there is no such interface; held until there is"));
	assert_true(nothing_forwards());
	switch_start(r.sw);
	assert_true(carrier_is(&r, LEG1, false));
	assert_true(carrier_is(&r, LEG2, false));
	assert_true(carrier_is(&r, PEER_LINK, false));
	make_port("p1", "h1");
	lab_until(r.base, carrier_is(&r, LEG1, true));
	assert_true(has_notice(&r, "p1 is a port of br0 now"));
	assert_true(nothing_forwards());
	lab_run("ip link set p2 master br0");
	make_port("pl", "far");
	lab_until(r.base, carrier_is(&r, LEG2, true) && carrier_is(&r, PEER_LINK, true));
	lab_until(r.base, is_set_up("p1") && is_set_up("p2"));
	rig_end(&r);
}

/* What the session would run over comes later, and its address later still. */
static void via_missing(void **state)
{
	struct rig r;
	struct switch_facts facts;
	rig_init(&r, state);
	r.config->via = (struct config_path){.interface = "via0"};
	rig_open(&r, false);
	assert_true(has_notice(
	    &r, "via0 (via): there is no such interface; the backup paths must do until there is"));
	switch_facts(r.sw, &facts);
	assert_true(mac_is_zero(facts.via));
	switch_start(r.sw);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	switch_flush(r.sw);
	lab_run("ip link set br0 name via0 && ip link add br0 type bridge && ip link set via0 down");
	strcpy(r.config->bridge, "via0"); /* a bridge that is its own via: the lab's kernel has no VLANs */
	lab_run("ip addr flush dev via0 && ip link set via0 up && ip addr add 192.0.2.1/24 dev via0");
	lab_run("nft flush ruleset"); /* in the same turn: what is open stays open */
	lab_until(r.base, has_notice(&r, "via0 (via) is there now"));
	lab_run("nft list table bridge mclagd | grep -q 'ip daddr 192.0.2.1 udp dport 5911'");
	expect_legs(&r, true, false, false, false, false);
	rig_end(&r);
}

static void opened(void **state)
{
	struct rig r;
	struct switch_facts facts;
	struct mac bridge;
	rig_init(&r, state);
	rig_open(&r, false);
	expect_legs(&r, false, false, false, false, false);
	assert_true(is_set_up("p1"));
	assert_true(is_set_up("p2"));
	lab_mac("br0", bridge.byte);
	switch_facts(r.sw, &facts);
	assert_true(mac_equal(facts.bridge, bridge));
	assert_true(mac_equal(facts.via, bridge));
	assert_int_equal(facts.ageing_ms, 300000);
	assert_int_equal(r.count, 0); /* nothing is told before the start */
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	assert_int_equal(count_kind(&r, EVENT_DUMP_BEGIN), 1);
	assert_int_equal(count_kind(&r, EVENT_LINK), 3);
	assert_true(carrier_is(&r, LEG1, true));
	assert_true(carrier_is(&r, LEG2, true));
	assert_true(carrier_is(&r, PEER_LINK, true));
	assert_int_equal(last_link(&r, LEG1)->speed, 10000); /* what a veth says */
	assert_int_equal(r.notice_count, 0);
	rig_end(&r);
}

/* --- gates ------------------------------------------------------------------------------------------- */

static void expect_done(struct rig *r, size_t at, struct place port, bool isolate, bool on)
{
	const struct event *e = &r->log[at];
	assert_true(at < r->count);
	assert_int_equal(e->kind, EVENT_DONE);
	assert_true(same_place(e->done.port, port));
	assert_int_equal(e->done.isolate, isolate);
	assert_int_equal(e->done.on, on);
	assert_true(e->done.ok);
}

static void gates(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	perform_gate(&r, ACTION_ISOLATE, LEG1, true);
	perform_gate(&r, ACTION_ISOLATE, LEG2, true);
	perform_gate(&r, ACTION_FORWARD, PEER_LINK, true);
	expect_legs(&r, false, false, false, false, false);
	assert_int_equal(r.count, 0);
	switch_flush(r.sw);
	assert_int_equal(r.count, 4);
	expect_done(&r, 0, LEG1, false, true);
	expect_done(&r, 1, LEG1, true, true);
	expect_done(&r, 2, LEG2, true, true);
	expect_done(&r, 3, PEER_LINK, false, true);
	expect_legs(&r, true, true, false, true, true);
	switch_flush(r.sw); /* nothing is left */
	assert_int_equal(r.count, 4);
	perform_gate(&r, ACTION_ISOLATE, LEG1, false);
	switch_flush(r.sw);
	expect_done(&r, 4, LEG1, true, false);
	expect_legs(&r, true, false, false, true, true);
	rig_end(&r);
}

/* Another run: with resume everything stays as it is, without everything is closed. */
static void resumed(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	perform_gate(&r, ACTION_FORWARD, LEG2, true);
	perform_gate(&r, ACTION_ISOLATE, LEG2, true);
	perform_gate(&r, ACTION_FORWARD, PEER_LINK, true);
	switch_flush(r.sw);
	rig_close(&r);
	rig_open(&r, true);
	expect_legs(&r, true, false, true, true, true);
	const struct switch_leg only2 = {.mclag = 2, .forwarding = true};
	assert_int_equal(switch_restore(r.sw, &only2, 1, true, r.why, sizeof(r.why)), 0);
	expect_legs(&r, false, false, true, false, true);
	rig_close(&r);
	rig_open(&r, false);
	expect_legs(&r, false, false, false, false, false);
	rig_end(&r);
}

/* The kernel refuses: the core learns that nothing is as it asked. */
static void gates_refused(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	assert_int_equal(seteuid(65534), 0);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	switch_flush(r.sw);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.log[0].kind, EVENT_DONE);
	assert_false(r.log[0].done.ok);
	assert_true(r.log[0].done.on);
	assert_int_equal(strncmp(r.notices[0], "p1: the gate cannot be set: ", 28), 0);
	rig_end(&r);
}

/* "nft flush ruleset" opens every gate: they are closed again at once, and obey as before. */
static void table_flushed(void **state)
{
	struct rig r;
	struct lab_port host, outside;
	rig_init(&r, state);
	lab_port_open(&host, "h2");
	lab_port_open(&outside, "q1");
	rig_open(&r, false);
	switch_start(r.sw);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	perform_gate(&r, ACTION_ISOLATE, LEG1, true);
	switch_flush(r.sw);
	lab_run("nft flush ruleset");
	lab_send(&host, lab_broadcast, 1);
	lab_until(NULL, lab_seen(&outside, 1) == 1); /* a held leg's frame passes */
	lab_until(r.base, has_notice(&r, "the nftables table was changed by somebody else; it is made again "
					 "(1 so far)"));
	expect_legs(&r, true, true, false, false, false);
	lab_send(&host, lab_broadcast, 2);
	lab_run("nft flush ruleset");
	perform_gate(&r, ACTION_FORWARD, LEG2, true); /* before the loop hears of it */
	switch_flush(r.sw);
	expect_legs(&r, true, true, true, false, false);
	assert_true(r.log[r.count - 1].done.ok);
	lab_send(&host, lab_broadcast, 3);
	lab_until(NULL, lab_seen(&outside, 3) == 1);
	assert_int_equal(lab_seen(&outside, 2), 0);
	lab_port_close(&outside);
	lab_port_close(&host);
	rig_end(&r);
}

/* --- ports come and go ------------------------------------------------------------------------------- */

static void carrier(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_run("ip link set h1 down");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	assert_int_equal(last_link(&r, LEG1)->speed, 0);
	lab_run("ip link set h1 up");
	lab_until(r.base, carrier_is(&r, LEG1, true));
	lab_run("ip link set p2 down");
	lab_until(r.base, carrier_is(&r, LEG2, false));
	lab_run("ip link set far down");
	lab_until(r.base, carrier_is(&r, PEER_LINK, false));
	assert_true(carrier_is(&r, LEG1, true));
	rig_end(&r);
}

static void deleted_and_made_again(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_run("ip link del p1");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	assert_true(has_notice(&r, "p1 is no port of br0 any more"));
	make_port("p1", "h1");
	lab_until(r.base, carrier_is(&r, LEG1, true));
	assert_true(has_notice(&r, "p1 is a port of br0 again"));
	assert_true(is_set_up("p1"));
	lab_run("ip link del pl"); /* takes the backup port of every leg with it */
	lab_until(r.base, carrier_is(&r, PEER_LINK, false));
	make_port("pl", "far");
	lab_until(r.base, carrier_is(&r, PEER_LINK, true));
	lab_until(r.base, is_set_up("p1") && is_set_up("p2"));
	rig_end(&r);
}

/* A leg's port is deleted and made again behind our back while its gate is open. The gate goes by name, so
 * until we hear of it the new port is open; from then on it is held until the core has decided anew. */
static void made_again_while_open(void **state)
{
	struct rig r;
	struct lab_port host, outside;
	rig_init(&r, state);
	lab_port_open(&outside, "q1");
	rig_open(&r, false);
	r.closes_lost_legs = true;
	switch_start(r.sw);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	switch_flush(r.sw);
	expect_legs(&r, true, false, false, false, false);
	lab_run("ip link del p1");
	make_port("p1", "h1");
	lab_port_open(&host, "h1");
	r.count = 0;
	lab_until(r.base, carrier_is(&r, LEG1, true));
	assert_int_equal(r.log[0].kind, EVENT_LINK); /* lost comes before found, however quick they were */
	assert_false(r.log[0].link.carrier);
	assert_int_equal(r.log[1].kind, EVENT_DONE);
	assert_true(r.log[1].done.ok);
	expect_legs(&r, false, false, false, false, false);
	lab_send(&host, lab_broadcast, 1);
	perform_gate(&r, ACTION_FORWARD, LEG1, true);
	switch_flush(r.sw);
	lab_send(&host, lab_broadcast, 2);
	lab_until(NULL, lab_seen(&outside, 2) == 1);
	assert_int_equal(lab_seen(&outside, 1), 0);
	lab_port_close(&host);
	lab_port_close(&outside);
	rig_end(&r);
}

static void taken_out_and_renamed(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_run("ip link set p1 nomaster");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	lab_run("ip link set p1 master br0");
	lab_until(r.base, carrier_is(&r, LEG1, true));
	lab_until(r.base, is_set_up("p1"));
	lab_run("ip link set p2 down && ip link set p2 name other && ip link set other up");
	lab_until(r.base, carrier_is(&r, LEG2, false));
	lab_until(r.base, has_notice(&r, "p2 is no port of br0 any more"));
	lab_run("ip link set other down && ip link set other name p2 && ip link set p2 up");
	lab_until(r.base, carrier_is(&r, LEG2, true));
	rig_end(&r);
}

/* Others may set ports, too; ours are set right again. */
static void tampered_with(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_run("bridge link set dev pl learning on && bridge link set dev p1 nobackup_port");
	lab_until(r.base, is_set_up("p1"));
	rig_end(&r);
}

static void bridge_made_again(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	lab_run("ip link del br0");
	lab_until(r.base, carrier_is(&r, LEG1, false) && carrier_is(&r, LEG2, false) &&
			      carrier_is(&r, PEER_LINK, false));
	lab_until(r.base, has_notice(&r, "br0 is gone"));
	lab_run("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
	lab_run("for p in p1 p2 pl; do ip link set $p master br0; done");
	lab_until(r.base, carrier_is(&r, LEG1, true) && carrier_is(&r, LEG2, true) &&
			      carrier_is(&r, PEER_LINK, true));
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 2);
	lab_until(r.base, is_set_up("p1") && is_set_up("p2"));
	rig_end(&r);
}

/* --- LACPDUs ----------------------------------------------------------------------------------------- */

static const uint8_t SLOW_PROTOCOLS[6] = {0x01, 0x80, 0xc2, 0, 0, 0x02};

static void send_pdu(struct lab_port *from, const struct lacpdu *pdu, size_t cut)
{
	uint8_t frame[14 + LACPDU_SIZE] = {0};
	memcpy(frame, SLOW_PROTOCOLS, 6);
	memcpy(frame + 6, from->mac, 6);
	frame[12] = LACP >> 8;
	frame[13] = LACP & 0xff;
	lacpdu_encode(pdu, frame + 14);
	lab_send_raw(from, frame, sizeof(frame) - cut);
}

static void lacpdus(void **state)
{
	struct rig r;
	struct lab_port host, other;
	struct lacpdu pdu = {
	    .actor = {.system_priority = 1, .system = {{2, 0, 0, 0, 0, 9}}, .key = 3, .port = 4}};
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_port_open_for(&host, "h1", LACP);
	lab_port_open_for(&other, "h2", LACP);
	send_pdu(&other, &pdu, 0); /* nobody speaks LACP on mclag 2 */
	send_pdu(&host, &pdu, 30); /* too short */
	send_pdu(&host, &pdu, 0);
	lab_until(r.base, count_kind(&r, EVENT_LACPDU) == 1);
	const struct event *e = &r.log[r.count - 1];
	assert_int_equal(e->kind, EVENT_LACPDU);
	assert_int_equal(e->lacpdu.mclag, 1);
	assert_int_equal(e->lacpdu.pdu.actor.key, 3);
	assert_true(mac_equal(e->lacpdu.pdu.actor.system, pdu.actor.system));
	assert_string_equal(r.notices[0], "p1: not a valid LACPDU: fewer than 110 bytes (1 so far)");
	for (int i = 0; i < 10; i++)
		send_pdu(&host, &pdu, 30);
	send_pdu(&host, &pdu, 0);
	lab_until(r.base, count_kind(&r, EVENT_LACPDU) == 2);
	assert_int_equal(r.notice_count, 4); /* 1, 2, 4, 8 */
	assert_true(has_notice(&r, "p1: not a valid LACPDU: fewer than 110 bytes (8 so far)"));
	pdu.actor.key = 0x1234; /* outwards; its low octet is byte 11 of the PDU */
	switch_perform(r.sw, &(struct action){.kind = ACTION_LACPDU, .lacpdu = {1, pdu}});
	lab_until(r.base, lab_seen_at(&host, 0x34, 14 + 13) == 1);
	lab_port_close(&host);
	/* The port is another one now, and speaks all the same. */
	lab_run("ip link del p1");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	switch_perform(r.sw, &(struct action){.kind = ACTION_LACPDU, .lacpdu = {1, pdu}});
	make_port("p1", "h1");
	lab_until(r.base, carrier_is(&r, LEG1, true));
	lab_port_open_for(&host, "h1", LACP);
	send_pdu(&host, &pdu, 0);
	lab_until(r.base, count_kind(&r, EVENT_LACPDU) == 3);
	lab_port_close(&host);
	lab_port_close(&other);
	rig_end(&r);
}

/* No descriptor is left when the leg's port comes: its LACP socket is opened as soon as there is one. */
static void lacp_tried_again(void **state)
{
	struct rig r;
	struct lab_port host;
	struct rlimit before, none;
	struct lacpdu pdu = {.actor = {.system_priority = 1, .system = {{2, 0, 0, 0, 0, 9}}, .port = 4}};
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_run("ip link del p1");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	make_port("p1", "h1");
	lab_port_open_for(&host, "h1", LACP);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	lab_until(r.base, carrier_is(&r, LEG1, true));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	bool told = false;
	for (size_t i = 0; i < NOTICES_MAX; i++)
		told |= strncmp(r.notices[i], "p1: no LACP: ", 13) == 0;
	assert_true(told);
	lab_until(r.base, has_notice(&r, "p1: LACP is spoken now"));
	send_pdu(&host, &pdu, 0);
	lab_until(r.base, count_kind(&r, EVENT_LACPDU) == 1);
	lab_port_close(&host);
	rig_end(&r);
}

static void counters(void **state)
{
	struct rig r;
	struct lab_port host;
	struct lacpdu pdu = {.actor = {.system_priority = 1, .system = {{2, 0, 0, 0, 0, 9}}, .port = 4}};
	struct switch_counters c;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	lab_port_open_for(&host, "h1", LACP);
	send_pdu(&host, &pdu, 30); /* too short */
	send_pdu(&host, &pdu, 0);
	lab_until(r.base, count_kind(&r, EVENT_LACPDU) == 1);
	switch_perform(r.sw, &(struct action){.kind = ACTION_LACPDU, .lacpdu = {.mclag = 1}});
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), LEG1, true);
	switch_flush(r.sw);
	lab_until(r.base, sighted(&r, mac_of(1), LEG1, SIGHTING_ACTIVE));
	lab_run("nft flush ruleset");
	lab_until(r.base, (switch_counters(r.sw, &c), c.gate_repairs == 1));
	lab_run("ip link set p1 nomaster"); /* closes its LACPDU socket; what that has counted is kept */
	lab_until(r.base, carrier_is(&r, LEG1, false));
	switch_counters(r.sw, &c);
	assert_int_equal(c.lacpdu_received, 2);
	assert_int_equal(c.lacpdu_malformed, 1);
	assert_int_equal(c.lacpdu_sent, 1);
	assert_int_equal(c.entry_adds, 1);
	assert_true(c.entry_messages > 0 && c.link_messages > 0 && c.gate_looks > 0);
	assert_int_equal(c.entry_refused + c.link_malformed + c.gate_failures + c.lacpdu_errors, 0);
	lab_port_close(&host);
	rig_end(&r);
}

/* --- the MAC table ----------------------------------------------------------------------------------- */

static void add(const char *rest, uint8_t last)
{
	lab_run("bridge fdb add 02:bb:00:00:00:%02x %s", last, rest);
}

/* Whatever stands there, before the start or after it, has its place and sighting. */
static void sightings(void **state)
{
	struct rig r;
	rig_init(&r, state);
	add("dev p1 master dynamic", 1);
	add("dev o1 master dynamic", 2);
	add("dev pl master dynamic", 3);
	add("dev pl master static", 4);
	add("dev o2 master extern_learn", 5);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	assert_true(sighted(&r, mac_of(1), LEG1, SIGHTING_LEARNED));
	assert_true(sighted(&r, mac_of(2), orphan("o1"), SIGHTING_LEARNED));
	assert_true(sighted(&r, mac_of(5), orphan("o2"), SIGHTING_FIXED));
	assert_int_equal(count_kind(&r, EVENT_ENTRY), 3); /* nor the addresses of the leaf itself */
	add("dev pl master extern_learn",
	    7); /* somebody else's: what is behind the peer link, the peer tells */
	perform_entry(&r, ACTION_PROGRAM, mac_of(8), PEER_LINK, false);
	switch_flush(r.sw);
	add("dev p2 master static", 6);
	lab_until(r.base, sighted(&r, mac_of(6), LEG2, SIGHTING_FIXED));
	lab_run("bridge fdb del 02:bb:00:00:00:04 dev pl master");
	lab_run("bridge fdb del 02:bb:00:00:00:07 dev pl master");
	lab_run("bridge fdb del 02:bb:00:00:00:08 dev pl master");
	lab_run("bridge fdb del 02:bb:00:00:00:01 dev p1 master");
	lab_until(r.base, sighted(&r, mac_of(1), LEG1, SIGHTING_GONE));
	assert_null(last_entry(&r, mac_of(4)));
	assert_null(last_entry(&r, mac_of(7)));
	assert_null(last_entry(&r, mac_of(7)));
	rig_end(&r);
}

static void programmed(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), LEG1, true);
	perform_entry(&r, ACTION_PROGRAM, mac_of(2), LEG2, false);
	perform_entry(&r, ACTION_PROGRAM, mac_of(3), PEER_LINK, false);
	perform_entry(&r, ACTION_PROGRAM, mac_of(4), orphan("o1"), false);
	switch_flush(r.sw);
	lab_run("bridge fdb show | grep -q '02:bb:00:00:00:01 dev p1 .*static'");
	lab_until(r.base, sighted(&r, mac_of(4), orphan("o1"), SIGHTING_LEARNED));
	assert_true(sighted(&r, mac_of(1), LEG1, SIGHTING_ACTIVE));
	assert_true(sighted(&r, mac_of(2), LEG2, SIGHTING_INACTIVE));
	assert_true(sighted(&r, mac_of(3), PEER_LINK, SIGHTING_PRESENT));
	perform_entry(&r, ACTION_UNPROGRAM, mac_of(1), LEG1, false);
	perform_entry(&r, ACTION_UNPROGRAM, mac_of(3), PEER_LINK, false);
	switch_flush(r.sw);
	lab_until(r.base, sighted(&r, mac_of(3), PEER_LINK, SIGHTING_GONE));
	assert_true(sighted(&r, mac_of(1), LEG1, SIGHTING_GONE));
	assert_int_equal(count_kind(&r, EVENT_PROGRAM_FAILED), 0);
	rig_end(&r);
}

/* An entry that was moved about is what it would be if it had always stood there: it ages, and tells of activity. */
static void moved_about(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_DUMP_END) == 1);
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), LEG1, true);
	switch_flush(r.sw);
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), PEER_LINK, true);
	switch_flush(r.sw);
	lab_until(r.base, sighted(&r, mac_of(1), PEER_LINK, SIGHTING_PRESENT));
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), LEG2, true);
	switch_flush(r.sw);
	lab_until(r.base, sighted(&r, mac_of(1), LEG2, SIGHTING_ACTIVE));
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), PEER_LINK, false);
	switch_flush(r.sw);
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), orphan("o1"), false);
	switch_flush(r.sw);
	lab_until(r.base, sighted(&r, mac_of(1), orphan("o1"), SIGHTING_LEARNED));
	lab_run("! bridge fdb show | grep '02:bb:00:00:00:01' | grep -qE 'static|extern_learn'");
	rig_end(&r);
}

static void program_failed(void **state)
{
	struct rig r;
	rig_init(&r, state);
	rig_open(&r, false);
	switch_start(r.sw);
	const struct place gone = orphan("o1");
	lab_run("ip link del o1");
	perform_entry(&r, ACTION_PROGRAM, mac_of(1), gone, false); /* the kernel refuses */
	switch_flush(r.sw);
	lab_until(r.base, count_kind(&r, EVENT_PROGRAM_FAILED) == 1);
	lab_run("ip link del p1");
	lab_until(r.base, carrier_is(&r, LEG1, false));
	perform_entry(&r, ACTION_PROGRAM, mac_of(2), LEG1, false); /* there is no port */
	perform_entry(&r, ACTION_UNPROGRAM, mac_of(2), LEG1, false);
	switch_flush(r.sw);
	assert_int_equal(count_kind(&r, EVENT_PROGRAM_FAILED), 2);
	for (size_t i = 0, n = 0; i < r.count; i++) {
		const struct entry_event *e = &r.log[i].entry;
		if (r.log[i].kind != EVENT_PROGRAM_FAILED)
			continue;
		assert_true(mac_equal(e->mac, mac_of(n == 0 ? 1 : 2)));
		assert_true(same_place(e->place, n == 0 ? gone : LEG1));
		n++;
	}
	rig_end(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(refused),
	    TEST(gates_closed_early),
	    TEST(ports_missing),
	    TEST(via_missing),
	    TEST(opened),
	    TEST(gates),
	    TEST(resumed),
	    TEST(gates_refused),
	    TEST(table_flushed),
	    TEST(carrier),
	    TEST(deleted_and_made_again),
	    TEST(made_again_while_open),
	    TEST(taken_out_and_renamed),
	    TEST(tampered_with),
	    TEST(bridge_made_again),
	    TEST(lacpdus),
	    TEST(lacp_tried_again),
	    TEST(counters),
	    TEST(sightings),
	    TEST(programmed),
	    TEST(moved_about),
	    TEST(program_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
