/* SPDX-License-Identifier: ISC */
/*
 * switch.h answered with a Linux bridge: ports and LACPDUs here, the first look at all of them in linux_open.c,
 * gates in linux_gates.c, the MAC table in linux_table.c.
 *
 * A port is known by its name. It is `there` while an interface of that name is a port of the bridge; when
 * one comes (back), it gets its settings again (learning, backup port) and its LACPDU socket. Everybody may
 * change links at any time, so each change told by netlink/link.h is compared with what should be, and put
 * right.
 *
 * A port that is not there when the daemon starts is a port that went away before: named once, held, without
 * carrier, used when it comes.
 */
#include "mclagd/linux.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK_RETRY_MS 1000
#define RETRY_MS      1000 /* a socket that could not be opened */

#define DRIVER_OF(pointer, member)                                                                           \
	((struct switch_driver *)(void *)((char *)(pointer)-offsetof(struct switch_driver, member)))

void linux_event(const struct switch_driver *sw, const struct event *e)
{
	sw->events->event(sw->events, e);
}

void linux_notice(const struct switch_driver *sw, const char *format, ...)
{
	char text[2 * LINUX_WHY_SIZE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	sw->events->notice(sw->events, text);
}

/* --- finding ports ----------------------------------------------------------------------------------- */

struct port *linux_peer_link(const struct switch_driver *sw)
{
	return &sw->ports[sw->port_count - 1];
}

static int compare_index(const void *a, const void *b)
{
	const struct port *const *one = a, *const *other = b;
	return ((*one)->ifindex > (*other)->ifindex) - ((*one)->ifindex < (*other)->ifindex);
}

/* An FDB event asks this, so it must not grow with the number of legs. */
struct port *linux_port_by_index(const struct switch_driver *sw, int ifindex)
{
	const struct port wanted = {.ifindex = ifindex}, *key = &wanted;
	struct port **found =
	    bsearch(&key, sw->by_index, sw->index_count, sizeof(struct port *), compare_index);
	return found ? *found : NULL;
}

static void index_ports(struct switch_driver *sw)
{
	sw->index_count = 0;
	for (size_t i = 0; i < sw->port_count; i++)
		if (sw->ports[i].ifindex)
			sw->by_index[sw->index_count++] = &sw->ports[i];
	qsort(sw->by_index, sw->index_count, sizeof(struct port *), compare_index);
}

static int compare_mclag(const void *a, const void *b)
{
	const struct port *one = a, *other = b;
	return (int)one->place.mclag - (int)other->place.mclag;
}

struct port *linux_port_by_place(const struct switch_driver *sw, struct place place)
{
	const struct port wanted = {.place = place};
	if (place.kind == PLACE_PEER_LINK)
		return linux_peer_link(sw);
	if (place.kind != PLACE_LEG)
		return NULL;
	return bsearch(&wanted, sw->ports, sw->port_count - 1, sizeof(*sw->ports), compare_mclag);
}

static struct port *port_by_name(const struct switch_driver *sw, const char *name)
{
	for (size_t i = 0; i < sw->port_count; i++)
		if (strcmp(sw->ports[i].name, name) == 0)
			return &sw->ports[i];
	return NULL;
}

/* --- LACPDUs ----------------------------------------------------------------------------------------- */

/* A host can send these at will, so only every doubling of their number is told. Markers and the like are no fault. */
static void count_bad_lacpdu(struct port *p, enum lacpdu_error error)
{
	uint64_t n = ++p->bad_lacpdus[error];
	if (error != LACPDU_SUBTYPE && (n & (n - 1)) == 0)
		linux_notice(p->sw, "%s: not a valid LACPDU: %s (%llu so far)", p->name,
			     lacpdu_error_help(error), (unsigned long long)n);
}

static void lacpdu_received(struct lacpdu_handler *handler, const uint8_t source[6], const uint8_t *payload,
			    size_t length)
{
	struct port *p = (struct port *)(void *)((char *)handler - offsetof(struct port, lacpdu_handler));
	struct event e = {.kind = EVENT_LACPDU, .lacpdu = {.mclag = p->place.mclag}};
	(void)source;
	enum lacpdu_error error = lacpdu_decode(payload, length, &e.lacpdu.pdu);
	if (error == LACPDU_OK)
		linux_event(p->sw, &e);
	else
		count_bad_lacpdu(p, error);
}

static void lacpdu_down(struct lacpdu_handler *handler, int error)
{
	(void)handler; /* the link's own event says the same, and it alone counts */
	(void)error;
}

/* Without a socket the leg is held for want of a partner, so it is tried until it works: what is missing,
 * memory or a descriptor, comes back. */
static void open_lacpdu(struct port *p, const struct link *l)
{
	char why[LINUX_WHY_SIZE];
	p->lacpdu_handler = (struct lacpdu_handler){.received = lacpdu_received, .down = lacpdu_down};
	if (lacpdu_open(&p->lacpdu, p->sw->base, l->ifindex, l->mac, &p->lacpdu_handler, why, sizeof(why))) {
		p->lacpdu = NULL;
		if (!p->mute)
			linux_notice(p->sw, "%s: no LACP: %s; trying again", p->name, why);
		p->mute = true;
		loop_timer_set(p->sw->retry, RETRY_MS);
	} else if (p->mute) {
		p->mute = false;
		linux_notice(p->sw, "%s: LACP is spoken now", p->name);
	}
}

static void close_lacpdu(struct port *p)
{
	if (p->lacpdu) {
		struct lacpdu_counters c = lacpdu_counters(p->lacpdu);
		p->lacpdu_before.received += c.received;
		p->lacpdu_before.sent += c.sent;
		p->lacpdu_before.refused += c.refused;
		p->lacpdu_before.errors += c.errors;
	}
	lacpdu_close(p->lacpdu);
	p->lacpdu = NULL;
	p->mute = false;
}

static void send_lacpdu(struct switch_driver *sw, const struct action *a)
{
	uint8_t bytes[LACPDU_SIZE];
	const struct port *p =
	    linux_port_by_place(sw, (struct place){.kind = PLACE_LEG, .mclag = a->lacpdu.mclag});
	if (!p || !p->lacpdu)
		return;
	lacpdu_encode(&a->lacpdu.pdu, bytes);
	lacpdu_send(p->lacpdu, bytes,
		    sizeof(bytes)); /* counts its errors; a lost PDU is LACP's daily bread */
}

/* --- ports come and go ------------------------------------------------------------------------------- */

static void tell_link(struct port *p, bool carrier, uint32_t speed)
{
	struct event e = {.kind = EVENT_LINK, .link = {.port = p->place, .carrier = carrier, .speed = speed}};
	if (!p->sw->started || (p->told && p->carrier == carrier && p->speed == speed))
		return;
	p->told = true;
	p->carrier = carrier;
	p->speed = speed;
	linux_event(p->sw, &e);
}

/* Peer link: the MACs behind it are told by the peer, never learned. Leg: unicast to it goes over the peer
 * link by itself from the moment its carrier is lost. */
static void settle_port(struct port *p, const struct link *l)
{
	struct switch_driver *sw = p->sw;
	const struct port *peer_link = linux_peer_link(sw);
	char why[LINUX_WHY_SIZE];
	int error = 0;
	if (p == peer_link) {
		if (l->port.learning)
			error = link_set_learning(sw->links, l->ifindex, false, why, sizeof(why));
	} else if (peer_link->there && l->port.backup_port != peer_link->ifindex) {
		error = link_set_backup_port(sw->links, l->ifindex, peer_link->ifindex, why, sizeof(why));
	}
	if (error)
		linux_notice(sw, "%s: cannot be set up: %s", p->name, why);
}

static void leave_port(struct port *p)
{
	if (!p->there)
		return;
	linux_notice(p->sw, "%s is no port of %s any more", p->name, p->sw->config->bridge);
	close_lacpdu(p);
	p->there = false;
	tell_link(p, false, 0);
}

static void enter_port(struct port *p, const struct link *l)
{
	struct switch_driver *sw = p->sw;
	if (sw->started)
		linux_notice(sw, "%s is a port of %s %s", p->name, sw->config->bridge,
			     p->ifindex ? "again" : "now");
	p->there = true;
	p->ifindex = l->ifindex;
	index_ports(sw);
	if (p->speaks)
		open_lacpdu(p, l);
	for (size_t i = 0; p == linux_peer_link(sw) && i < sw->port_count - 1; i++) {
		const struct link *leg =
		    sw->ports[i].there ? link_by_index(sw->links, sw->ports[i].ifindex) : NULL;
		if (leg)
			settle_port(&sw->ports[i], leg);
	}
}

/* l NULL: there is no interface of that name. */
static void update_port(struct port *p, const struct link *l)
{
	bool ours = l && l->is_port && p->sw->bridge && l->master == p->sw->bridge;
	if (p->there && (!ours || l->ifindex != p->ifindex))
		leave_port(p);
	if (!ours) {
		tell_link(p, false, 0);
		return;
	}
	if (!p->there)
		enter_port(p, l);
	settle_port(p, l);
	if (p->lacpdu)
		lacpdu_set_source(p->lacpdu, l->mac);
	bool carrier = l->admin_up && l->carrier;
	tell_link(p, carrier, carrier ? l->speed : 0);
}

static void update_ports(struct switch_driver *sw)
{
	for (size_t i = 0; i < sw->port_count; i++)
		update_port(&sw->ports[i], link_by_name(sw->links, sw->ports[i].name));
}

/* LACPDUs bypass the gates, so the bridge must not learn a held host from them. */
static void settle_bridge(struct switch_driver *sw)
{
	char why[LINUX_WHY_SIZE];
	if (sw->bridge && link_set_linklocal_learning(sw->links, sw->bridge, false, why, sizeof(why)))
		linux_notice(sw, "%s: cannot be set up: %s", sw->config->bridge, why);
}

static void update_bridge(struct switch_driver *sw, const struct link *l)
{
	int bridge = l && strcmp(l->kind, "bridge") == 0 ? l->ifindex : 0;
	if (bridge == sw->bridge)
		return;
	sw->bridge = bridge;
	if (sw->started)
		linux_notice(sw, bridge ? "%s is there again" : "%s is gone", sw->config->bridge);
	settle_bridge(sw);
	update_ports(sw);
	if (sw->started)
		linux_table_dump(sw);
}

static void link_changed(struct link_handler *handler, const struct link *l)
{
	struct switch_driver *sw = DRIVER_OF(handler, link_handler);
	if (!sw->isolation)
		return; /* switch_open() looks at everything, once the gates are closed */
	struct port *known = linux_port_by_index(sw, l->ifindex);
	if (known &&
	    strcmp(known->name, l->name) != 0) { /* renamed: it is not what the configuration means */
		leave_port(known);
		known->ifindex = 0;
		index_ports(sw);
	}
	struct port *named = port_by_name(sw, l->name);
	if (sw->via_missing && strcmp(l->name, sw->config->via.interface) == 0)
		linux_settle_via(sw);
	if (strcmp(l->name, sw->config->bridge) == 0)
		update_bridge(sw, l);
	else if (l->ifindex == sw->bridge)
		update_bridge(sw, NULL);
	else if (named)
		update_port(named, l);
}

static void link_gone(struct link_handler *handler, const struct link *l)
{
	struct switch_driver *sw = DRIVER_OF(handler, link_handler);
	struct port *p = linux_port_by_index(sw, l->ifindex);
	if (!sw->isolation)
		return;
	if (l->ifindex == sw->bridge)
		update_bridge(sw, NULL);
	else if (p)
		update_port(p, NULL);
}

static void link_synced(struct link_handler *handler)
{
	struct switch_driver *sw = DRIVER_OF(handler, link_handler);
	sw->synced = true;
	if (!sw->isolation)
		return;
	update_bridge(sw, link_by_name(sw->links, sw->config->bridge));
	update_ports(sw);
}

static void link_failed(struct link_handler *handler, int error, const char *text)
{
	struct switch_driver *sw = DRIVER_OF(handler, link_handler);
	snprintf(sw->link_failure, sizeof(sw->link_failure), "%.200s (%d)", text, error);
	linux_notice(sw, "cannot read the links: %s; again in %d ms", sw->link_failure, LINK_RETRY_MS);
	loop_timer_set(sw->link_retry, LINK_RETRY_MS);
}

static void link_overrun(struct link_handler *handler)
{
	linux_notice(DRIVER_OF(handler, link_handler),
		     "links changed faster than they were read: reading all of them");
}

static void link_again(struct loop_timer_handler *handler)
{
	struct switch_driver *sw = DRIVER_OF(handler, link_retry_handler);
	char why[LINUX_WHY_SIZE];
	if (link_dump(sw->links, why, sizeof(why)))
		link_failed(&sw->link_handler, -EIO, why);
}

/* What could not be opened. */
static void retry(struct loop_timer_handler *handler)
{
	struct switch_driver *sw = DRIVER_OF(handler, retry_handler);
	for (size_t i = 0; i < sw->port_count; i++) {
		struct port *p = &sw->ports[i];
		const struct link *l = p->there && p->mute ? link_by_index(sw->links, p->ifindex) : NULL;
		if (l)
			open_lacpdu(p, l);
	}
	if (sw->via_missing)
		linux_settle_via(sw);
}

/* --- switch.h ---------------------------------------------------------------------------------------- */

/* Gates first, by name: nothing may forward before anything else is looked at or touched. */
int switch_open(struct switch_driver **sw, struct event_base *base, const struct config *config, bool resume,
		struct switch_events *events, char *why, size_t size)
{
	struct switch_driver *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	*n = (struct switch_driver){.base = base, .config = config, .events = events};
	linux_make_ports(n);
	n->link_handler = (struct link_handler){.changed = link_changed,
						.gone = link_gone,
						.synced = link_synced,
						.failed = link_failed,
						.overrun = link_overrun};
	n->link_retry_handler.due = link_again;
	n->retry_handler.due = retry;
	int error = linux_guard_gates(config, resume, why, size);
	if (!error)
		error = linux_open_links(n, why, size);
	if (!error)
		error = linux_open_gates(n, why, size);
	if (!error)
		error = linux_table_open(n, why, size);
	if (error) {
		switch_close(n);
		return error;
	}
	link_synced(&n->link_handler);
	linux_tell_missing(n);
	*sw = n;
	return 0;
}

int switch_close_gates(const struct config *config, char *why, size_t size)
{
	return linux_guard_gates(config, true, why, size);
}

void switch_facts(const struct switch_driver *sw, struct switch_facts *facts)
{
	const struct link *bridge = link_by_name(sw->links, sw->config->bridge);
	const struct link *via = link_by_name(sw->links, sw->config->via.interface);
	*facts = (struct switch_facts){0};
	if (bridge) {
		memcpy(facts->bridge.byte, bridge->mac, sizeof(bridge->mac));
		facts->ageing_ms = bridge->ageing_ms;
	}
	if (via)
		memcpy(facts->via.byte, via->mac, sizeof(via->mac));
}

void switch_start(struct switch_driver *sw)
{
	sw->started = true;
	update_ports(sw);
	linux_table_dump(sw);
}

void switch_perform(struct switch_driver *sw, const struct action *a)
{
	switch (a->kind) {
	case ACTION_LACPDU:
		send_lacpdu(sw, a);
		return;
	case ACTION_FORWARD:
	case ACTION_ISOLATE:
		linux_ask_gate(sw, a);
		return;
	case ACTION_PROGRAM:
		linux_table_program(sw, &a->program);
		return;
	case ACTION_UNPROGRAM:
		linux_table_unprogram(sw, &a->program);
		return;
	case ACTION_SEND:
	case ACTION_USE_PATH:
	case ACTION_ACCEPT:
	case ACTION_CLOSE:
	case ACTION_STOPPED:
	case ACTION_PROBE:
	case ACTION_BEACON:
	case ACTION_SAVE:
	case ACTION_KIND_COUNT:
		break;
	}
	abort(); /* not for the switch: the owner is wrong */
}

void switch_flush(struct switch_driver *sw)
{
	linux_flush_gates(sw);
	linux_table_flush(sw);
}

void switch_close(struct switch_driver *sw)
{
	if (!sw)
		return;
	linux_table_close(sw);
	for (size_t i = 0; i < sw->port_count; i++)
		close_lacpdu(&sw->ports[i]);
	isolation_close(sw->isolation);
	link_close(sw->links);
	loop_timer_destroy(sw->link_retry);
	loop_timer_destroy(sw->retry);
	free(sw->by_index);
	free(sw->ports);
	free(sw);
}
