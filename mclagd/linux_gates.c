/* SPDX-License-Identifier: ISC */
/*
 * The gates: what each port may let pass, kept in nftables by name.
 *
 * Gates of one batch become one nftables transaction: when a peer dies with 500 mclags, isolation is lifted
 * from all of them at once. If that is refused each is tried alone, so that one bad port does not hold the
 * others. What others do to the table is undone by netlink/isolation.h; the core is not told, because for it
 * nothing has changed.
 */
#include "mclagd/linux.h"

#include <assert.h>
#include <stdlib.h>

#define DRIVER_OF(pointer, member)                                                                           \
	((struct switch_driver *)(void *)((char *)(pointer)-offsetof(struct switch_driver, member)))

static void repaired(struct isolation_handler *handler)
{
	const struct switch_driver *sw = DRIVER_OF(handler, isolation_handler);
	linux_notice(sw, "the nftables table was changed by somebody else; it is made again (%llu so far)",
		     (unsigned long long)isolation_counters(sw->isolation).repairs);
}

static void repair_failed(struct isolation_handler *handler, int error, const char *text)
{
	linux_notice(DRIVER_OF(handler, isolation_handler),
		     "the nftables table was changed by somebody else and cannot be made again: %s (%d)",
		     text, error);
}

int linux_watch_gates(struct switch_driver *sw, char *why, size_t size)
{
	sw->isolation_handler = (struct isolation_handler){.repaired = repaired, .failed = repair_failed};
	return isolation_watch(sw->isolation, sw->base, &sw->isolation_handler, why, size);
}

int linux_read_gates(struct switch_driver *sw, char *why, size_t size)
{
	struct isolation_leg *rows = calloc(sw->port_count, sizeof(*rows));
	if (!rows)
		abort();
	int error = isolation_adopted(sw->isolation, rows, why, size);
	for (size_t i = 0; !error && i < sw->port_count; i++) {
		struct port *p = &sw->ports[i];
		p->gate = rows[i];
		if (!p->forward_asked && !p->isolate_asked)
			p->wish = rows[i];
	}
	free(rows);
	return error;
}

void linux_ask_gate(struct switch_driver *sw, const struct action *a)
{
	struct port *p = linux_port_by_place(sw, a->gate.port);
	assert(p);
	if (a->kind == ACTION_FORWARD) {
		p->wish.forwarding = a->gate.on;
		p->forward_asked = true;
	} else {
		p->wish.isolated = a->gate.on;
		p->isolate_asked = true;
	}
	sw->gates_asked = true;
}

/* 0 or -errno; on success the gates are as wished. */
static int set_gates(struct switch_driver *sw, struct port *const *ports, size_t count, char *why,
		     size_t size)
{
	struct isolation_leg *rows = calloc(count ? count : 1, sizeof(*rows));
	if (!rows)
		abort();
	for (size_t i = 0; i < count; i++)
		rows[i] = ports[i]->wish;
	int error = isolation_set(sw->isolation, rows, count, why, size);
	for (size_t i = 0; !error && i < count; i++)
		ports[i]->gate = ports[i]->wish;
	free(rows);
	return error;
}

static void done(const struct port *p, bool isolate, bool on, bool ok)
{
	linux_event(p->sw, &(struct event){.kind = EVENT_DONE, .done = {p->place, isolate, on, ok}});
}

static void answer_gate(struct port *p, bool ok)
{
	const struct isolation_leg asked = p->wish;
	bool forward = p->forward_asked, isolate = p->isolate_asked;
	p->forward_asked = p->isolate_asked = false;
	if (!ok)
		p->wish = p->gate;
	if (forward)
		done(p, false, asked.forwarding, ok);
	if (isolate)
		done(p, true, asked.isolated, ok);
}

void linux_flush_gates(struct switch_driver *sw)
{
	if (!sw->gates_asked)
		return;
	char why[LINUX_WHY_SIZE];
	struct port **asked = calloc(sw->port_count, sizeof(struct port *));
	size_t count = 0;
	if (!asked)
		abort();
	sw->gates_asked = false;
	for (size_t i = 0; i < sw->port_count; i++)
		if (sw->ports[i].forward_asked || sw->ports[i].isolate_asked)
			asked[count++] = &sw->ports[i];
	bool ok = set_gates(sw, asked, count, why, sizeof(why)) == 0;
	for (size_t i = 0; i < count; i++) {
		bool alone = ok || (count > 1 && set_gates(sw, &asked[i], 1, why, sizeof(why)) == 0);
		if (!alone)
			linux_notice(sw, "%s: the gate cannot be set: %s", asked[i]->name, why);
		answer_gate(asked[i], alone);
	}
	free(asked);
}

size_t switch_legs(struct switch_driver *sw, struct switch_leg *legs, size_t room, bool *peer_link_open)
{
	char why[LINUX_WHY_SIZE];
	size_t count = sw->port_count - 1 < room ? sw->port_count - 1 : room;
	*peer_link_open = false;
	if (linux_read_gates(sw, why, sizeof(why))) {
		linux_notice(sw, "cannot read what is forwarding: %s", why);
		return 0;
	}
	*peer_link_open = linux_peer_link(sw)->gate.forwarding;
	for (size_t i = 0; i < count; i++)
		legs[i] = (struct switch_leg){.mclag = sw->ports[i].place.mclag,
					      .forwarding = sw->ports[i].gate.forwarding,
					      .isolated = sw->ports[i].gate.isolated};
	return count;
}

int switch_restore(struct switch_driver *sw, const struct switch_leg *legs, size_t count, bool peer_link_open,
		   char *why, size_t size)
{
	struct port **all = calloc(sw->port_count, sizeof(struct port *));
	if (!all)
		abort();
	for (size_t i = 0; i < sw->port_count; i++) {
		all[i] = &sw->ports[i];
		all[i]->wish.forwarding = all[i]->wish.isolated = false;
	}
	linux_peer_link(sw)->wish.forwarding = peer_link_open;
	for (size_t i = 0; i < count; i++) {
		struct port *p =
		    linux_port_by_place(sw, (struct place){.kind = PLACE_LEG, .mclag = legs[i].mclag});
		if (!p)
			continue;
		p->wish.forwarding = legs[i].forwarding;
		p->wish.isolated = legs[i].isolated;
	}
	int error = set_gates(sw, all, sw->port_count, why, size);
	free(all);
	return error;
}
