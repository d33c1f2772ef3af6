/* SPDX-License-Identifier: ISC */
#include "journal_samples.h"

#include <assert.h>
#include <string.h>

#define MAC(last)                                                                                            \
	{                                                                                                    \
		.byte = { 2, 0, 0, 0, 0, last }                                                              \
	}

static const struct mclag_config mclags[] = {
    {.id = 3, .speaker = SPEAKER_STATIC, .active = true, .fast = false, .port_priority = 7},
    {.id = 9, .speaker = SPEAKER_ENGINE, .active = true, .fast = true, .port_priority = 11},
};

#define PARTNER                                                                                              \
	{                                                                                                    \
		.system_priority = 1, .system = MAC(0x77), .key = 2, .port_priority = 3, .port = 4,          \
		.state = 0x3d                                                                                \
	}

static struct leg_resume legs[] = {
    {.mclag = 3, .forwarding = true, .isolated = true},
    {.mclag = 9, .forwarding = true, .isolated = false, .actor_state = 0x3d, .partner = PARTNER},
};

struct journal_head sample_head(bool resumes)
{
	struct journal_head h = {
	    .version = SAMPLE_VERSION,
	    .wall_us = INT64_C(1790000000123456),
	    .config = {.domain = 5,
		       .node = 2,
		       .boot_id = UINT64_C(0xfedcba9876543210),
		       .priority = 17,
		       .system = MAC(0xaa),
		       .system_priority = 18,
		       .own_system = MAC(0xa2),
		       .via = MAC(0xb2),
		       .path_count = 3,
		       .keepalive_ms = 101,
		       .multiplier = 6,
		       .session_timeout_ms = 3001,
		       .alone_ms = 60001,
		       .ceiling_ms = 180001,
		       .grace_ms = 60002,
		       .ageing_ms = 300001,
		       .leave_ms = 3002,
		       .on_split = SPLIT_STAY,
		       .entry_limit = 1001,
		       .mclag_count = 2,
		       .mclags = mclags},
	    .resumes = resumes,
	};
	if (resumes)
		h.resume = (struct resume){.verdict = VERDICT_ALIVE,
					   .role = ROLE_SECONDARY,
					   .epoch = UINT64_C(1) << 40,
					   .peer_link_open = true,
					   .leg_count = 2,
					   .legs = legs};
	return h;
}

/* --- messages: a session from the Hello to the Goodbye ----------------------------------------------- */

static struct mac_entry entry = {.mac = MAC(0x31), .vlan = 10, .mclag = 9, .moves = 3, .fixed = true};
static struct mac_entry gone = {.mac = MAC(0x32), .vlan = 4094, .mclag = 0, .moves = 1, .gone = true};

static const struct message messages[] = {
    {.kind = MESSAGE_HELLO,
     .hello = {.version_min = 1,
	       .version_max = 2,
	       .features = 8,
	       .domain = 5,
	       .node = 1,
	       .boot_id = 99,
	       .epoch = 4,
	       .priority = 19,
	       .role = ROLE_PRIMARY,
	       .carrying = true,
	       .system = MAC(0xaa),
	       .system_priority = 18,
	       .via = MAC(0xb1)}},
    {.kind = MESSAGE_LEG_STATE,
     .leg_state = {.mclag = 9,
		   .carrier = true,
		   .phase = LEG_FORWARDING,
		   .holds = 0,
		   .speed = 10000,
		   .actor = PARTNER,
		   .partner = PARTNER}},
    {.kind = MESSAGE_LEG_REQUEST, .leg = {.mclag = 9, .nonce = 5}},
    {.kind = MESSAGE_LEG_GRANT, .leg = {.mclag = 3, .nonce = 1, .granted = true}},
    {.kind = MESSAGE_TABLE_BEGIN, .mark = {.generation = 1, .count = 1}},
    {.kind = MESSAGE_ENTRIES, .batch = {.generation = 1, .count = 1, .entries = &entry}},
    {.kind = MESSAGE_TABLE_END, .mark = {.generation = 1, .count = 1, .digest = 0x1234}},
    {.kind = MESSAGE_UPDATE, .batch = {.generation = 1, .count = 1, .entries = &gone}},
    {.kind = MESSAGE_TABLE_ACK, .ack = {.generation = 1, .repair = true}},
    {.kind = MESSAGE_DIGEST, .mark = {.generation = 1, .count = 1, .digest = 0x4321}},
    {.kind = MESSAGE_GOODBYE, .goodbye = {.reason = REASON_RESTART, .seconds = 30}},
};

/* --- events ------------------------------------------------------------------------------------------ */

static const struct place leg9 = {.kind = PLACE_LEG, .mclag = 9};
static const struct place leg3 = {.kind = PLACE_LEG, .mclag = 3};
static const struct place peer_link = {.kind = PLACE_PEER_LINK};
static const struct place orphan = {.kind = PLACE_ORPHAN, .port = -7};

static struct event heard(int path)
{
	return (struct event){
	    .kind = EVENT_HEARD,
	    .heard = {.path = path,
		      .boot_id = 99,
		      .hears_us = path == 0,
		      .echo_ms = path == 0 ? 12 : INT64_C(1) << 40, /* words.h: no echo */
		      .beacon = {.domain = 5, .epoch = 4, .role = ROLE_PRIMARY, .carrying = true}}};
}

static struct event seen(uint8_t last, struct place place, enum sighting sighting)
{
	return (struct event){.kind = EVENT_ENTRY,
			      .entry = {.mac = MAC(last), .vlan = 10, .place = place, .sighting = sighting}};
}

size_t sample_events(struct event events[static SAMPLE_EVENTS])
{
	size_t n = 0;
	const struct lacpdu pdu = {.actor = PARTNER, .partner = PARTNER, .collector_max_delay = 6};
	events[n++] = (struct event){.kind = EVENT_START};
	events[n++] = (struct event){.kind = EVENT_LINK, .link = {peer_link, true, 10000}};
	events[n++] = (struct event){.kind = EVENT_LINK, .link = {leg9, true, 25000}};
	events[n++] = (struct event){.kind = EVENT_LINK, .link = {leg3, true, 25000}};
	events[n++] = (struct event){.kind = EVENT_DUMP_BEGIN};
	events[n++] = seen(0x41, leg9, SIGHTING_LEARNED);
	events[n++] = seen(0x42, orphan, SIGHTING_LEARNED);
	events[n++] = seen(0x43, peer_link, SIGHTING_PRESENT);
	events[n++] = (struct event){.kind = EVENT_DUMP_END};
	events[n++] = heard(0);
	events[n++] = heard(2);
	events[n++] = (struct event){.kind = EVENT_CONFLICT};
	events[n++] = (struct event){.kind = EVENT_SESSION_OPENED, .path = 2};
	events[n++] = (struct event){.kind = EVENT_ROOM, .room = 1 << 20};
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		events[n++] = (struct event){.kind = EVENT_MESSAGE, .message = &messages[i]};
	events[n++] = (struct event){.kind = EVENT_LACPDU, .lacpdu = {.mclag = 9, .pdu = pdu}};
	events[n++] = (struct event){.kind = EVENT_DONE, .done = {leg9, true, true, true}};
	events[n++] = (struct event){.kind = EVENT_DONE, .done = {leg3, false, true, false}};
	events[n++] =
	    (struct event){.kind = EVENT_PROGRAM_FAILED, .entry = seen(0x41, leg9, SIGHTING_ACTIVE).entry};
	events[n++] = (struct event){.kind = EVENT_VIOLATION};
	events[n++] = (struct event){.kind = EVENT_SESSION_CLOSED, .reason = REASON_TRANSPORT};
	events[n++] = (struct event){.kind = EVENT_TIMER};
	events[n++] = (struct event){.kind = EVENT_STOP, .reason = REASON_SHUTDOWN};
	assert(n <= SAMPLE_EVENTS);
	return n;
}

struct msec sample_time(size_t index)
{
	return (struct msec){INT64_C(123456789) + (int64_t)(index * index) * 50};
}

void sample_run(struct journal_bytes *b, bool resumes)
{
	struct event events[SAMPLE_EVENTS];
	struct journal_head h = sample_head(resumes);
	struct domain *d = domain_create(&h.config, resumes ? &h.resume : NULL);
	struct step s = {.now = {0}};
	int64_t last = 0;
	size_t count = sample_events(events);

	journal_put_head(b, &h);
	for (size_t i = 0; i < count; i++) {
		step_clear(&s);
		s.now = sample_time(i);
		journal_put_event(b, (uint64_t)(s.now.ms - last), &events[i]);
		last = s.now.ms;
		domain_step(d, &s, &events[i]);
		journal_put_outcome(b, &s);
	}
	step_release(&s);
	domain_destroy(d);
}
