/* SPDX-License-Identifier: ISC */
/*
 * control_views.c - one function per message of control.proto, in its order, each a list of assignments. What
 * needs thought is in control_health.c.
 */
#include "mclagd/control_views.h"

#include "mclagd/control_build.h"
#include "mclagd/control_health.h"
#include "peerlink/keepalive.h"
#include "peerlink/peerlink.h"

#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define WHY_SIZE 320 /* any text of peerlink fits */

static char *mac_text(struct mac mac)
{
	char text[MAC_TEXT_SIZE];

	return build_text("%s", mac_is_zero(mac) ? "" : mac_format(mac, text));
}

static void hold_words(char ***words, size_t *count, hold_set holds)
{
	for (int h = 0; h < HOLD_COUNT; h++)
		if (holds & HOLD_BIT(h))
			build_line(words, count, "%s", hold_name((enum hold)h));
}

/* All legs, in the order of the domain; freed by the caller. */
static struct leg_view *leg_views(const struct domain *domain, size_t count)
{
	struct leg_view *legs = calloc(count + 1, sizeof(*legs));

	if (legs == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		domain_leg_view(domain, i, &legs[i]);
	return legs;
}

/* --- status ------------------------------------------------------------------------------------------ */

static Mclag__Control__Daemon *daemon_message(const struct view_source *source, const struct domain_view *v)
{
	Mclag__Control__Daemon *m = build_message(&mclag__control__daemon__descriptor);
	const struct config *c = source->config;

	m->version = build_text("%s", MCLAGD_VERSION);
	m->uptime_ms = msec_since(source->now, source->started);
	m->domain = c->domain;
	m->node = c->node;
	m->system_mac = mac_text(c->system);
	m->system_priority = c->system_priority;
	m->priority = c->priority;
	m->arbitrating = v->arbitrating;
	m->stopping = v->stopping;
	return m;
}

static Mclag__Control__Verdict *verdict_message(const struct domain_view *v, struct msec now)
{
	Mclag__Control__Verdict *m = build_message(&mclag__control__verdict__descriptor);

	m->verdict = build_text("%s", verdict_name(v->verdict));
	m->since_ms = msec_since(now, v->verdict_since);
	return m;
}

static Mclag__Control__Role *role_message(const struct domain_view *v, struct msec now)
{
	Mclag__Control__Role *m = build_message(&mclag__control__role__descriptor);

	m->role = build_text("%s", role_name(v->role));
	m->since_ms = msec_since(now, v->role_since);
	m->reason = build_text("%s", reason_name(v->role_reason));
	m->epoch = v->epoch;
	return m;
}

static Mclag__Control__Session *session_message(const struct view_source *source, const struct domain_view *v)
{
	Mclag__Control__Session *m = build_message(&mclag__control__session__descriptor);
	char why[WHY_SIZE] = "";

	m->state = build_text("%s", session_state_name(v->session));
	m->since_ms = msec_since(source->now, v->session_since);
	m->path =
	    build_text("%s", v->session_path < 0 ? "" : health_path_name(source->config, v->session_path));
	m->reason = build_text("%s", reason_name(v->session_reason));
	if (v->session == SESSION_DOWN || v->session == SESSION_CONNECTING)
		peerlink_why(source->peerlink, why, sizeof(why));
	m->last_error = build_text("%s", why);
	return m;
}

static Mclag__Control__Peer *peer_message(const struct hello *hello)
{
	Mclag__Control__Peer *m = build_message(&mclag__control__peer__descriptor);

	m->node = hello->node;
	m->boot_id = build_text("%016" PRIx64, hello->boot_id);
	m->role = build_text("%s", role_name(hello->role));
	m->epoch = hello->epoch;
	m->priority = hello->priority;
	m->carrying = hello->carrying;
	m->system_mac = mac_text(hello->system);
	m->system_priority = hello->system_priority;
	m->via_mac = mac_text(hello->via);
	return m;
}

static Mclag__Control__Path *path_message(const struct view_source *source, int path,
					  const struct path_view *v)
{
	Mclag__Control__Path *m = build_message(&mclag__control__path__descriptor);
	char address[ADDRESS_TEXT_SIZE];
	struct keepalive_stats stats;

	keepalive_stats(source->keepalive, path, &stats);
	m->name = build_text("%s", health_path_name(source->config, path));
	m->up = v->up;
	m->hears_us = v->hears_us;
	m->heard_ms = v->ever ? msec_since(source->now, v->heard) : -1;
	m->changed_ms = msec_since(source->now, v->changed);
	m->rtt_us = stats.rtt_us;
	m->jitter_us = stats.jitter_us;
	m->sent = stats.sent;
	m->received = stats.heard;
	m->lost = stats.lost;
	m->remote = build_text("%s", stats.known ? address_format(&stats.remote, address) : "");
	m->error = build_text("%s", stats.error != 0 ? strerror(stats.error) : "");
	return m;
}

static Mclag__Control__PeerLink *peer_link_message(const struct config *config, const struct domain_view *v)
{
	Mclag__Control__PeerLink *m = build_message(&mclag__control__peer_link__descriptor);

	m->port = build_text("%s", config->peer_link);
	m->carrier = v->peer_link_carrier;
	m->open = v->peer_link_open;
	return m;
}

static Mclag__Control__Leg *leg_message(enum leg_phase phase, bool carrier, hold_set holds)
{
	Mclag__Control__Leg *m = build_message(&mclag__control__leg__descriptor);

	m->phase = build_text("%s", leg_phase_name(phase));
	m->carrier = carrier;
	hold_words(&m->holds, &m->n_holds, holds);
	m->since_ms = -1;
	return m;
}

static Mclag__Control__Mclag *mclag_message(const struct view_source *source, const struct leg_view *leg)
{
	Mclag__Control__Mclag *m = build_message(&mclag__control__mclag__descriptor);

	m->id = leg->id;
	m->port = build_text("%s", health_leg_port(source->config, leg->id));
	m->local = leg_message(leg->phase, leg->carrier, leg->holds);
	m->local->since_ms = msec_since(source->now, leg->since);
	m->local->reason = build_text("%s", reason_name(leg->reason));
	m->local->isolated = leg->isolated;
	if (leg->peer_known)
		m->peer = leg_message(leg->peer.phase, leg->peer.carrier, leg->peer.holds);
	return m;
}

static Mclag__Control__Tables *tables_message(const struct table_view *v)
{
	Mclag__Control__Tables *tables = build_message(&mclag__control__tables__descriptor);
	Mclag__Control__Table *m = build_message(&mclag__control__table__descriptor);

	tables->mac = m;
	m->total = v->total;
	m->local = v->local;
	m->peer = v->peer;
	m->programmed = v->programmed;
	m->queued = v->queued;
	m->sent_count = v->sent_count;
	m->sent_digest = build_text("%016" PRIx64, v->sent_digest);
	m->received_count = v->received_count;
	m->received_digest = build_text("%016" PRIx64, v->received_digest);
	m->synced = v->synced;
	m->peer_synced = v->peer_synced;
	return tables;
}

static void judge(Mclag__Control__Status *m, const struct view_source *source, const struct domain_view *v,
		  const struct leg_view *legs)
{
	struct health_lines findings = {0}, single_points = {0};

	m->health = health_judge(v, legs, source->config, &findings, &single_points);
	m->findings = findings.lines;
	m->n_findings = findings.count;
	m->single_points = single_points.lines;
	m->n_single_points = single_points.count;
}

Mclag__Control__Status *view_status(const struct view_source *source)
{
	Mclag__Control__Status *m = build_message(&mclag__control__status__descriptor);
	struct domain_view v;

	domain_view(source->domain, &v);
	struct leg_view *legs = leg_views(source->domain, v.mclag_count);

	m->daemon = daemon_message(source, &v);
	m->verdict = verdict_message(&v, source->now);
	m->role = role_message(&v, source->now);
	m->session = session_message(source, &v);
	if (v.peer_known)
		m->peer = peer_message(&v.peer);
	m->peer_link = peer_link_message(source->config, &v);
	m->tables = tables_message(&v.macs);
	m->paths = build_list(v.path_count);
	for (; m->n_paths < v.path_count; m->n_paths++)
		m->paths[m->n_paths] = path_message(source, (int)m->n_paths, &v.paths[m->n_paths]);
	m->mclags = build_list(v.mclag_count);
	for (; m->n_mclags < v.mclag_count; m->n_mclags++)
		m->mclags[m->n_mclags] = mclag_message(source, &legs[m->n_mclags]);
	judge(m, source, &v, legs);
	free(legs);
	return m;
}

/* --- ports ------------------------------------------------------------------------------------------- */

/* NULL for an end that is not known: no system address is all zero. */
static Mclag__Control__LacpInfo *lacp_message(const struct lacp_info *info)
{
	char state[LACP_STATE_TEXT_SIZE];

	if (mac_is_zero(info->system))
		return NULL;
	Mclag__Control__LacpInfo *m = build_message(&mclag__control__lacp_info__descriptor);

	m->system_priority = info->system_priority;
	m->system = mac_text(info->system);
	m->key = info->key;
	m->port_priority = info->port_priority;
	m->port = info->port;
	build_words(&m->state, &m->n_state, lacp_state_format(info->state, state));
	return m;
}

static Mclag__Control__PeerPort *peer_port_message(const struct leg_state *leg)
{
	Mclag__Control__PeerPort *m = build_message(&mclag__control__peer_port__descriptor);

	m->phase = build_text("%s", leg_phase_name(leg->phase));
	hold_words(&m->holds, &m->n_holds, leg->holds);
	m->carrier = leg->carrier;
	m->speed = leg->speed;
	m->actor = lacp_message(&leg->actor);
	m->partner = lacp_message(&leg->partner);
	return m;
}

static Mclag__Control__Port *port_message(const struct view_source *source, const struct leg_view *leg)
{
	Mclag__Control__Port *m = build_message(&mclag__control__port__descriptor);

	m->id = leg->id;
	m->port = build_text("%s", health_leg_port(source->config, leg->id));
	m->speaker = build_text("%s", speaker_name(leg->speaker));
	m->phase = build_text("%s", leg_phase_name(leg->phase));
	m->since_ms = msec_since(source->now, leg->since);
	m->reason = build_text("%s", reason_name(leg->reason));
	hold_words(&m->holds, &m->n_holds, leg->holds);
	m->carrier = leg->carrier;
	m->speed = leg->speed;
	m->isolated = leg->isolated;
	if (leg->speaker == SPEAKER_ENGINE) {
		m->lacp_receive = build_text("%s", leg->lacp_rx);
		m->lacp_mux = build_text("%s", leg->lacp_mux);
		m->actor = lacp_message(&leg->actor);
		m->partner = lacp_message(&leg->partner);
		m->pdus_in = leg->pdus_in;
		m->pdus_out = leg->pdus_out;
	}
	if (leg->peer_known)
		m->peer = peer_port_message(&leg->peer);
	return m;
}

Mclag__Control__Ports *view_ports(const struct view_source *source, uint16_t id)
{
	Mclag__Control__Ports *m = build_message(&mclag__control__ports__descriptor);
	struct domain_view v;
	struct leg_view leg;

	domain_view(source->domain, &v);
	m->ports = build_list(v.mclag_count);
	for (size_t i = 0; i < v.mclag_count; i++) {
		domain_leg_view(source->domain, i, &leg);
		if (id == 0 || id == leg.id)
			m->ports[m->n_ports++] = port_message(source, &leg);
	}
	if (id == 0 || m->n_ports > 0)
		return m;
	mclag__control__ports__free_unpacked(m, NULL);
	return NULL;
}

/* --- mac and events ---------------------------------------------------------------------------------- */

bool view_mac_matches(const struct mac_filter *filter, const struct mac_view *entry)
{
	return (filter->vlan == 0 || filter->vlan == entry->vlan) &&
	       (filter->mclag == 0 ||
		(entry->place.kind == PLACE_LEG && filter->mclag == entry->place.mclag)) &&
	       (!filter->by_mac || mac_equal(filter->mac, entry->mac));
}

/* "" where it is not known any more. The switch's number of a port is an interface index (linux.c). */
static char *place_port(const struct config *config, struct place place)
{
	char name[IF_NAMESIZE] = "";

	switch (place.kind) {
	case PLACE_LEG:
		return build_text("%s", health_leg_port(config, place.mclag));
	case PLACE_PEER_LINK:
		return build_text("%s", config->peer_link);
	case PLACE_ORPHAN:
		if_indextoname((unsigned)place.port, name);
		break;
	case PLACE_NONE:
	case PLACE_KIND_COUNT:
		break;
	}
	return build_text("%s", name);
}

Mclag__Control__MacEntry *view_mac_entry(const struct config *config, const struct mac_view *entry)
{
	Mclag__Control__MacEntry *m = build_message(&mclag__control__mac_entry__descriptor);

	m->mac = mac_text(entry->mac);
	m->vlan = entry->vlan;
	m->place = build_text("%s", place_kind_name(entry->place.kind));
	m->mclag = entry->place.kind == PLACE_LEG ? entry->place.mclag : 0;
	m->port = place_port(config, entry->place);
	m->programmed = build_text("%s", place_kind_name(entry->programmed.kind));
	m->local = entry->local;
	m->peer = entry->peer;
	m->fixed = entry->fixed;
	m->moves = entry->moves;
	return m;
}

Mclag__Control__Event *view_event(const struct ring_line *line, struct msec now)
{
	Mclag__Control__Event *m = build_message(&mclag__control__event__descriptor);

	m->number = line->number;
	m->time_us = line->wall_us;
	m->ago_ms = msec_since(now, line->at);
	m->room = build_text("%s", trace_room_name(line->trace.room));
	m->level = build_text("%s", trace_level_name(line->trace.level));
	m->mclag = line->trace.mclag;
	m->text = build_text("%.*s", TRACE_TEXT_SIZE, line->trace.text);
	return m;
}

/* --- counters ---------------------------------------------------------------------------------------- */

static Mclag__Control__ReasonCounter *reason_counter(const char *reason, uint64_t count)
{
	Mclag__Control__ReasonCounter *m = build_message(&mclag__control__reason_counter__descriptor);

	m->reason = build_text("%s", reason);
	m->count = count;
	return m;
}

static void message_counters(Mclag__Control__Counters *c, const struct domain_view *v)
{
	c->messages = build_list(MESSAGE_KIND_COUNT);
	for (int kind = 0; kind < MESSAGE_KIND_COUNT; kind++) {
		Mclag__Control__MessageCounter *m =
		    build_message(&mclag__control__message_counter__descriptor);

		m->message = build_text("%s", message_kind_name((enum message_kind)kind));
		m->in = v->messages_in[kind];
		m->out = v->messages_out[kind];
		c->messages[c->n_messages++] = m;
	}
	c->violations = v->violations;
}

static Mclag__Control__TransportCounters *transport_counters(const struct peerlink_counters *p)
{
	Mclag__Control__TransportCounters *m = build_message(&mclag__control__transport_counters__descriptor);

	m->dialled = p->dialled;
	m->arrived = p->arrived;
	m->opened = p->opened;
	m->accepted = p->accepted;
	m->frames_in = p->frames_in;
	m->frames_out = p->frames_out;
	m->bytes_in = p->bytes_in;
	m->bytes_out = p->bytes_out;
	m->ended = build_list(PEERLINK_REASON_COUNT);
	for (int r = 0; r < PEERLINK_REASON_COUNT; r++)
		m->ended[m->n_ended++] =
		    reason_counter(peerlink_reason_text((enum peerlink_reason)r), p->ended[r]);
	return m;
}

static Mclag__Control__KeepaliveCounters *keepalive_counters(const struct view_source *source, int path)
{
	Mclag__Control__KeepaliveCounters *m = build_message(&mclag__control__keepalive_counters__descriptor);
	struct keepalive_stats stats;

	keepalive_stats(source->keepalive, path, &stats);
	m->path = build_text("%s", health_path_name(source->config, path));
	m->sent = stats.sent;
	m->send_errors = stats.send_errors;
	m->heard = stats.heard;
	m->lost = stats.lost;
	m->missed = stats.missed;
	m->throttled = stats.throttled;
	m->late = build_list(KEEPALIVE_LATE_BUCKETS);
	for (; m->n_late < KEEPALIVE_LATE_BUCKETS; m->n_late++)
		m->late[m->n_late] = stats.late[m->n_late];
	m->dropped = build_list(KEEPALIVE_DROP_COUNT);
	for (int d = KEEPALIVE_FINE + 1; d < KEEPALIVE_DROP_COUNT; d++)
		m->dropped[m->n_dropped++] =
		    reason_counter(keepalive_drop_text((enum keepalive_drop)d), stats.dropped[d]);
	return m;
}

static void lacp_counters(Mclag__Control__Counters *c, const struct domain *domain, size_t count)
{
	struct leg_view leg;

	c->lacp = build_list(count);
	for (size_t i = 0; i < count; i++) {
		domain_leg_view(domain, i, &leg);
		if (leg.speaker != SPEAKER_ENGINE)
			continue;
		Mclag__Control__LacpCounters *m = build_message(&mclag__control__lacp_counters__descriptor);

		m->id = leg.id;
		m->pdus_in = leg.pdus_in;
		m->pdus_out = leg.pdus_out;
		c->lacp[c->n_lacp++] = m;
	}
}

static Mclag__Control__TableCounters *table_counters(enum table table, const struct table_view *v)
{
	Mclag__Control__TableCounters *m = build_message(&mclag__control__table_counters__descriptor);

	m->table = build_text("%s", table_name(table));
	m->repairs = v->repairs;
	m->refused = v->refused;
	m->failed = v->failed;
	m->moves = v->moves;
	return m;
}

void view_switch_counters(Mclag__Control__Counters *c, const struct switch_counters *counters)
{
	const struct {
		const char *name, *help;
		uint64_t count;
	} rows[] = {
#define ROW(field, words) {#field, words, counters->field},
	    SWITCH_COUNTERS(ROW)
#undef ROW
	};
	const size_t count = sizeof(rows) / sizeof(rows[0]);

	c->kernel = build_list(count);
	for (; c->n_kernel < count; c->n_kernel++) {
		Mclag__Control__SwitchCounter *m = build_message(&mclag__control__switch_counter__descriptor);

		m->name = build_text("%s", rows[c->n_kernel].name);
		m->help = build_text("%s", rows[c->n_kernel].help);
		m->count = rows[c->n_kernel].count;
		c->kernel[c->n_kernel] = m;
	}
}

Mclag__Control__Counters *view_counters(const struct view_source *source)
{
	Mclag__Control__Counters *c = build_message(&mclag__control__counters__descriptor);
	struct domain_view v;

	domain_view(source->domain, &v);
	message_counters(c, &v);
	c->transport = transport_counters(peerlink_counters(source->peerlink));
	c->keepalives = build_list(v.path_count);
	for (; c->n_keepalives < v.path_count; c->n_keepalives++)
		c->keepalives[c->n_keepalives] = keepalive_counters(source, (int)c->n_keepalives);
	lacp_counters(c, source->domain, v.mclag_count);
	c->tables = build_list(1);
	c->tables[c->n_tables++] = table_counters(TABLE_MAC, &v.macs);
	return c;
}
