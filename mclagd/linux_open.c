/* SPDX-License-Identifier: ISC */
/*
 * The first look at the machine. Before it the gates are closed by name, or, when a former run left them, kept
 * as they are: nobody waits for this daemon with what passes.
 *
 * What may come later is no reason to stay down, since a leaf whose daemon does not start loses all its legs
 * for one: a leg or the peer link that is not there, or not yet in the bridge, is held and without carrier; a
 * via that is not there (it goes with the peer link's port when it is a VLAN of it) leaves the session to the
 * backup paths. The bridge itself must be there: the leaf's own identity is its address, and without it
 * nothing passes anyway. What can never work is refused, by the name of the interface.
 */
#include "mclagd/linux.h"

#include "peerlink/keepalive.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_NAME   "mclagd"
#define VIA_RETRY_MS 1000

static int explain(char *why, size_t size, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int explain(char *why, size_t size, int error, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(why, size, format, ap);
	va_end(ap);
	return error;
}

void linux_make_ports(struct switch_driver *sw)
{
	const struct config *c = sw->config;
	sw->port_count = c->mclag_count + 1;
	sw->ports = calloc(sw->port_count, sizeof(*sw->ports));
	sw->by_index = calloc(sw->port_count, sizeof(struct port *));
	if (!sw->ports || !sw->by_index)
		abort();
	for (size_t i = 0; i < c->mclag_count; i++)
		sw->ports[i] = (struct port){.sw = sw,
					     .name = c->mclags[i].port,
					     .place = {.kind = PLACE_LEG, .mclag = c->mclags[i].id},
					     .speaks = c->mclags[i].lacp == SPEAKER_ENGINE};
	*linux_peer_link(sw) =
	    (struct port){.sw = sw, .name = c->peer_link, .place = {.kind = PLACE_PEER_LINK}};
}

/* The loop runs here until every link has been told once. */
int linux_open_links(struct switch_driver *sw, char *why, size_t size)
{
	sw->link_retry = loop_timer_create(sw->base, LOOP_URGENT, &sw->link_retry_handler);
	sw->retry = loop_timer_create(sw->base, LOOP_PEER, &sw->retry_handler);
	int error = link_open(&sw->links, sw->base, 0, &sw->link_handler, why, size);
	while (!error && !sw->synced) {
		error = loop_turn(sw->base);
		if (error || sw->link_failure[0])
			return explain(why, size, error ? error : -EIO, "cannot read the links: %s",
				       sw->link_failure);
	}
	return error;
}

void linux_tell_missing(const struct switch_driver *sw)
{
	for (size_t i = 0; i < sw->port_count; i++) {
		const struct port *p = &sw->ports[i];
		char what[16] = "peer link";
		if (p->there)
			continue;
		if (p->place.kind == PLACE_LEG)
			snprintf(what, sizeof(what), "mclag %u", p->place.mclag);
		if (link_by_name(sw->links, p->name))
			linux_notice(sw, "%s (%s): is no port of %s; held until it is", p->name, what,
				     sw->config->bridge);
		else
			linux_notice(sw, "%s (%s): there is no such interface; held until there is", p->name,
				     what);
	}
}

static bool address_of(const char *text, struct isolation_address *a)
{
	*a = (struct isolation_address){.v6 = strchr(text, ':') != NULL};
	return inet_pton(a->v6 ? AF_INET6 : AF_INET, text, a->bytes) == 1;
}

static void add_own(struct isolation_control *control, const struct isolation_address *a)
{
	for (size_t i = 0; i < control->own_count; i++)
		if (memcmp(&control->own[i], a, sizeof(*a)) == 0)
			return;
	if (control->own_count < ISOLATION_ADDRESSES_MAX)
		control->own[control->own_count++] = *a;
}

/* Our addresses on the interface: the configured one, which need not be there yet, and those that are. */
static int own_addresses(const struct config_path *via, struct isolation_control *control)
{
	struct ifaddrs *all;
	struct isolation_address a;
	if (address_of(via->address, &a))
		add_own(control, &a);
	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || strcmp(i->ifa_name, via->interface) != 0)
			continue;
		a = (struct isolation_address){.v6 = i->ifa_addr->sa_family == AF_INET6};
		if (i->ifa_addr->sa_family == AF_INET)
			memcpy(a.bytes, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
			       4);
		else if (a.v6)
			memcpy(a.bytes, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr,
			       16);
		else
			continue;
		add_own(control, &a);
	}
	freeifaddrs(all);
	return 0;
}

/* A VLAN of the peer link's port takes its frames before the bridge sees them. The bridge, or a VLAN of it,
 * would send control traffic out of every port, so it is confined to the peer link; and so is a configured
 * address as long as nobody knows which of the two it will be on. */
static int control_rules(const struct switch_driver *sw, struct isolation_control *control, char *why,
			 size_t size)
{
	const struct config *c = sw->config;
	const struct link *via = link_by_name(sw->links, c->via.interface);
	const struct link *bridge = link_by_name(sw->links, c->bridge);
	const struct link *port = link_by_name(sw->links, c->peer_link);
	bool vlan = via && strcmp(via->kind, "vlan") == 0;
	*control = (struct isolation_control){0};
	if (vlan && port && via->lower == port->ifindex)
		return 0;
	if (via && !(bridge && (via->ifindex == bridge->ifindex || (vlan && via->lower == bridge->ifindex))))
		return explain(why, size, -EINVAL,
			       "%s (via): neither a VLAN of %s nor %s nor a VLAN of it, so it does not "
			       "ride the peer link",
			       via->name, c->peer_link, c->bridge);
	control->session_port = c->session_port;
	control->keepalive_port = c->keepalive_port;
	int error = own_addresses(&c->via, control);
	if (via && (error || control->own_count == 0))
		return explain(why, size, error ? error : -EADDRNOTAVAIL,
			       "%s (via): has no address yet, so the peer cannot be found over it",
			       via->name);
	control->confine = control->own_count > 0;
	control->peer_count = address_of(c->via.peer, &control->peer[0]);
	control->discovery = control->peer_count == 0;
	control->discovery_port = c->keepalive_port;
	address_of(KEEPALIVE_GROUP, &control->discovery_group);
	return 0;
}

/* Legs in the order of the configuration, which linux_make_ports() keeps. */
static struct isolation_config gates_of(const struct config *c, bool adopt)
{
	struct isolation_config gates = {
	    .table = TABLE_NAME, .peer_link = c->peer_link, .leg_count = c->mclag_count, .adopt = adopt};
	const char **names = calloc(c->mclag_count + 1, sizeof(*names));
	if (!names)
		abort();
	for (size_t i = 0; i < c->mclag_count; i++)
		names[i] = c->mclags[i].port;
	gates.legs = names;
	return gates;
}

int linux_guard_gates(const struct config *c, bool resume, char *why, size_t size)
{
	struct isolation_config gates = gates_of(c, resume);
	int error = isolation_guard(&gates, why, size);
	free((void *)gates.legs);
	return error;
}

/* What the table says is kept: isolation_guard() has seen to it. */
static int open_gates(struct switch_driver *sw, char *why, size_t size)
{
	struct isolation_config gates = gates_of(sw->config, true);
	struct isolation *fresh = NULL;
	int error = control_rules(sw, &gates.control, why, size);
	if (!error)
		error = isolation_open(&fresh, &gates, why, size);
	free((void *)gates.legs);
	if (error)
		return error;
	isolation_close(sw->isolation);
	sw->isolation = fresh;
	error = linux_watch_gates(sw, why, size);
	return error ? error : linux_read_gates(sw, why, size);
}

int linux_open_gates(struct switch_driver *sw, char *why, size_t size)
{
	const struct config *c = sw->config;
	const struct link *bridge = link_by_name(sw->links, c->bridge);
	if (!bridge || strcmp(bridge->kind, "bridge") != 0)
		return explain(why, size, -ENODEV, "%s (bridge): there is no such bridge", c->bridge);
	sw->via_missing = !link_by_name(sw->links, c->via.interface);
	if (sw->via_missing)
		linux_notice(sw,
			     "%s (via): there is no such interface; the backup paths must do until there is",
			     c->via.interface);
	return open_gates(sw, why, size);
}

void linux_settle_via(struct switch_driver *sw)
{
	char why[LINUX_WHY_SIZE];
	if (!link_by_name(sw->links, sw->config->via.interface))
		return;
	/* The gates stay as they were set, even if somebody takes the table away just now. */
	const size_t count = sw->port_count - 1;
	const bool peer_link_open = linux_peer_link(sw)->gate.forwarding;
	struct switch_leg *legs = calloc(sw->port_count, sizeof(*legs));
	if (!legs)
		abort();
	for (size_t i = 0; i < count; i++)
		legs[i] = (struct switch_leg){.mclag = sw->ports[i].place.mclag,
					      .forwarding = sw->ports[i].gate.forwarding,
					      .isolated = sw->ports[i].gate.isolated};
	int error = open_gates(sw, why, sizeof(why));
	if (!error)
		error = switch_restore(sw, legs, count, peer_link_open, why, sizeof(why));
	free(legs);
	sw->via_missing = error != 0;
	if (!error)
		linux_notice(sw, "%s (via) is there now", sw->config->via.interface);
	else if (error != -EADDRNOTAVAIL)
		linux_notice(sw, "%s", why);
	if (error)
		loop_timer_set(sw->retry, VIA_RETRY_MS); /* its address comes later than the interface */
}
