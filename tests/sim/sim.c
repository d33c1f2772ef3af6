/* SPDX-License-Identifier: ISC */
/*
 * The run: happenings go to whom they are for, trace lines into a ring and a hash.
 */
#include "sim/sim.h"
#include "sim/invariants.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAC_BASE 0x020000000000u

void sim_config_defaults(struct sim_config *c)
{
	*c = (struct sim_config){
	    .seed = 1,
	    .priority = {100, 100},
	    .leg_count = 1,
	    .orphan_count = {1, 1},
	    .macs_per_host = 1,
	    .queue_high = (size_t)64 * 1024,
	    .report_max = 2 * SIM_MS,
	    .carrier_max = 50 * SIM_MS,
	    .pdu_max = 1 * SIM_MS,
	};
	domain_config_defaults(&c->pair);
	c->pair.domain = 7;
	c->pair.system = mac_from_u64(0x0200000000aau << 8);
	c->pair.system_priority = 32768;
	c->pair.path_count = SIM_PATHS;
	for (int i = 0; i < SIM_PATHS; i++)
		c->paths[i] = (struct path){.delay_min = 300, .delay_max = 300};
	for (int i = 0; i < SIM_LEGS; i++) {
		c->legs[i] = (struct mclag_config){.id = (uint16_t)(i + 1),
						   .speaker = SPEAKER_ENGINE,
						   .active = true,
						   .fast = true,
						   .port_priority = 128};
		c->hosts[i] = (struct host_config){.lacp = true, .active = true, .fast = true, .eager = true};
	}
}

struct mac sim_mac(uint32_t index)
{
	return mac_from_u64(MAC_BASE + index);
}

uint32_t sim_mac_index(const struct sim *s, struct mac mac)
{
	uint64_t index = mac_to_u64(mac) - MAC_BASE;

	return index < s->row_count ? (uint32_t)index : UINT32_MAX;
}

bool sim_leg_cable(const struct sim *s, int leaf, int leg)
{
	return s->cable[leaf][leg] && s->switches[leaf].powered && s->hosts[leg].on;
}

int64_t sim_pdu_arrival(struct sim *s, int leaf, int leg, bool to_host)
{
	int64_t *last = &s->pdu_arrives[leaf][leg][to_host];
	int64_t at = s->queue.now + dice_between(&s->dice, 10, s->config.pdu_max);

	*last = at > *last ? at : *last;
	return *last;
}

bool sim_peer_link_cable(const struct sim *s)
{
	return s->peer_link_cable && s->switches[0].powered && s->switches[1].powered;
}

void sim_init(struct sim *s, const struct sim_config *config)
{
	memset(s, 0, sizeof *s);
	s->config = *config;
	s->dice.state = config->seed;
	s->hash = 0xcbf29ce484222325u;
	s->both_up = -1;
	s->peer_link_cable = true;
	queue_init(&s->queue);
	size_t hosts = config->leg_count + config->orphan_count[0] + config->orphan_count[1];
	s->mac_count = (uint32_t)hosts * config->macs_per_host;
	s->row_count = s->mac_count + 2;
	s->owner = calloc(s->mac_count, sizeof *s->owner);
	s->heard_from = calloc(s->mac_count, sizeof *s->heard_from);
	s->heard_at = calloc(s->mac_count, sizeof *s->heard_at);
	if (!s->owner || !s->heard_from || !s->heard_at)
		abort();
	for (uint32_t i = 0; i < s->mac_count; i++) {
		s->owner[i] = (int)(i / config->macs_per_host);
		s->heard_at[i] = -1;
	}
	host_init(s);
	network_init(s);
	for (int leaf = 0; leaf < 2; leaf++) {
		for (int i = 0; i < SIM_LEGS; i++)
			s->cable[leaf][i] = true;
		switch_init(s, leaf);
		node_init(s, leaf);
	}
}

void sim_release(struct sim *s)
{
	for (int leaf = 0; leaf < 2; leaf++) {
		node_release(s, leaf);
		switch_release(s, leaf);
	}
	network_release(s);
	queue_release(&s->queue);
	free(s->owner);
	free(s->heard_from);
	free(s->heard_at);
}

/* Longer than a function should be: one line for each kind of happening, so that all are seen together. */
static void happen(struct sim *s, const struct happening *h)
{
	switch (h->kind) {
	case HAPPEN_TIMER:
		node_timer(s, h);
		return;
	case HAPPEN_KEEPALIVE:
		network_keepalive(s, h);
		return;
	case HAPPEN_DATAGRAM:
		network_datagram(s, h);
		return;
	case HAPPEN_DIAL:
		network_dial(s, h);
		return;
	case HAPPEN_OPEN:
		network_open(s, h);
		return;
	case HAPPEN_DELIVER:
		network_deliver(s, h);
		return;
	case HAPPEN_HANGUP:
		network_hangup(s, h);
		return;
	case HAPPEN_ROOM:
		network_room(s, h);
		return;
	case HAPPEN_REPORT:
		switch_report(s, h);
		return;
	case HAPPEN_DUMP:
		switch_dump(s, h);
		return;
	case HAPPEN_AGE:
		switch_age(s, h);
		return;
	case HAPPEN_FRAME:
		if (s->peer_link_cable && !s->peer_link_silent)
			switch_frame(s, h->leaf, SIM_PEER_LINK, h->frame);
		return;
	case HAPPEN_PDU_AT_LEAF:
		if (s->switches[h->leaf].ports[h->index + 1].carrier)
			node_event(s, h->leaf,
				   &(struct event){.kind = EVENT_LACPDU,
						   .lacpdu = {s->config.legs[h->index].id, h->pdu}});
		return;
	case HAPPEN_PDU_AT_HOST:
		host_pdu(s, h);
		return;
	case HAPPEN_CARRIER:
		host_carrier(s, h);
		return;
	case HAPPEN_HOST_TIMER:
		host_timer(s, h);
		return;
	case HAPPEN_TRAFFIC:
		host_traffic(s, h);
		return;
	case HAPPEN_EXIT:
		node_exit(s, h);
		return;
	case HAPPEN_START:
		if (h->stamp == s->switches[h->leaf].power)
			node_start(s, h->leaf);
		return;
	case HAPPENING_COUNT:
		break;
	}
	abort();
}

bool sim_run(struct sim *s, int64_t duration)
{
	int64_t until = s->queue.now + duration;
	struct happening h;

	while (!s->failed && queue_next(&s->queue, until, &h))
		happen(s, &h);
	return !s->failed;
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	vsnprintf(s->failure, sizeof s->failure, format, args);
	va_end(args);
	sim_note(s, "BROKEN: %.180s", s->failure);
}

void sim_mix(struct sim *s, const void *bytes, size_t size)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < size; i++)
		s->hash = (s->hash ^ b[i]) * 0x100000001b3u;
}

void sim_line(struct sim *s, const struct sim_line *line)
{
	s->lines[s->line_count++ % SIM_LINES] = *line;
	sim_mix(s, &line->at, sizeof line->at);
	sim_mix(s, &line->leaf, sizeof line->leaf);
	sim_mix(s, line->text, strlen(line->text));
	if (s->config.out && (line->leaf < 0 || line->level >= s->config.out_level))
		sim_print_line(s->config.out, line);
}

void sim_note(struct sim *s, const char *format, ...)
{
	struct sim_line line = {.at = s->queue.now, .leaf = -1, .level = TRACE_INFO};
	va_list args;

	va_start(args, format);
	vsnprintf(line.text, sizeof line.text, format, args);
	va_end(args);
	sim_line(s, &line);
}

void sim_print_line(FILE *out, const struct sim_line *line)
{
	long long ms = (long long)(line->at / SIM_MS);

	if (line->leaf < 0) {
		fprintf(out, "%4lld.%03lld -- %s\n", ms / 1000, ms % 1000, line->text);
		return;
	}
	fprintf(out, "%4lld.%03lld node %d %-8s ", ms / 1000, ms % 1000, line->leaf + 1,
		trace_room_name(line->room));
	if (line->mclag)
		fprintf(out, "mclag %u: ", line->mclag);
	fprintf(out, "%s\n", line->text);
}
