/* SPDX-License-Identifier: ISC */
/*
 * The first look at the machine: are the ports that the configuration names there, and can the peer be
 * reached over the peer link? What is wrong is said once, by the name of the interface, before anything is
 * changed. Then the gates are closed, or, when a former run left them, taken over as they are.
 */
#include "mclagd/linux.h"

#include "peerlink/keepalive.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_NAME "mclagd"

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
	int error = link_open(&sw->links, sw->base, 0, &sw->link_handler, why, size);
	while (!error && !sw->synced) {
		error = loop_turn(sw->base);
		if (error || sw->link_failure[0])
			return explain(why, size, error ? error : -EIO, "cannot read the links: %s",
				       sw->link_failure);
	}
	return error;
}

static int check_port(const struct switch_driver *sw, const char *name, const char *what, char *why,
		      size_t size)
{
	const struct link *l = link_by_name(sw->links, name),
			  *bridge = link_by_name(sw->links, sw->config->bridge);
	if (!l)
		return explain(why, size, -ENODEV, "%s (%s): there is no such interface", name, what);
	if (!l->is_port || l->master != bridge->ifindex)
		return explain(why, size, -ENODEV, "%s (%s): is no port of %s", name, what, bridge->name);
	return 0;
}

int linux_check_ports(const struct switch_driver *sw, char *why, size_t size)
{
	const struct config *c = sw->config;
	const struct link *bridge = link_by_name(sw->links, c->bridge);
	if (!bridge || strcmp(bridge->kind, "bridge") != 0)
		return explain(why, size, -ENODEV, "%s (bridge): there is no such bridge", c->bridge);
	int error = check_port(sw, c->peer_link, "peer link", why, size);
	for (size_t i = 0; !error && i < c->mclag_count; i++) {
		char what[16];
		snprintf(what, sizeof(what), "mclag %u", c->mclags[i].id);
		error = check_port(sw, c->mclags[i].port, what, why, size);
	}
	return error;
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
 * would send control traffic out of every port, so it is confined to the peer link. */
static int control_rules(const struct switch_driver *sw, struct isolation_control *control, char *why,
			 size_t size)
{
	const struct config *c = sw->config;
	const struct link *via = link_by_name(sw->links, c->via.interface);
	const struct link *bridge = link_by_name(sw->links, c->bridge);
	const struct link *port = link_by_name(sw->links, c->peer_link);
	if (!via)
		return explain(why, size, -ENODEV, "%s (via): there is no such interface", c->via.interface);
	bool vlan = strcmp(via->kind, "vlan") == 0;
	if (vlan && via->lower == port->ifindex)
		return 0;
	if (via->ifindex != bridge->ifindex && !(vlan && via->lower == bridge->ifindex))
		return explain(why, size, -EINVAL,
			       "%s (via): neither a VLAN of %s nor %s nor a VLAN of it, so it does not "
			       "ride the peer link",
			       via->name, port->name, bridge->name);
	control->confine = true;
	control->session_port = c->session_port;
	control->keepalive_port = c->keepalive_port;
	int error = own_addresses(&c->via, control);
	if (error || control->own_count == 0)
		return explain(why, size, error ? error : -EADDRNOTAVAIL,
			       "%s (via): has no address yet, so the peer cannot be found over it",
			       via->name);
	control->peer_count = address_of(c->via.peer, &control->peer[0]);
	control->discovery = control->peer_count == 0;
	control->discovery_port = c->keepalive_port;
	address_of(KEEPALIVE_GROUP, &control->discovery_group);
	return 0;
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

int linux_open_gates(struct switch_driver *sw, bool resume, char *why, size_t size)
{
	struct isolation_config c = {.table = TABLE_NAME,
				     .peer_link = sw->config->peer_link,
				     .leg_count = sw->port_count - 1,
				     .adopt = resume};
	const char **names = calloc(sw->port_count, sizeof(*names));
	if (!names)
		abort();
	for (size_t i = 0; i < c.leg_count; i++)
		names[i] = sw->ports[i].name;
	c.legs = names;
	int error = control_rules(sw, &c.control, why, size);
	if (!error)
		error = isolation_open(&sw->isolation, &c, why, size);
	if (!error)
		error = linux_read_gates(sw, why, size);
	free(names);
	return error;
}
