/* SPDX-License-Identifier: ISC */
/*
 * control_views.h - the answers of the control socket, made from the read-only views of the rooms. Pure: no
 * socket, no clock. Each result is released by its message's free_unpacked.
 */
#ifndef MCLAGD_CONTROL_VIEWS_H
#define MCLAGD_CONTROL_VIEWS_H

#include "core/domain.h"
#include "mclagd/config.h"
#include "mclagd/ring.h"
#include "mclagd/switch.h"
#include "proto/control.pb-c.h"

struct keepalive;
struct peerlink;

/* Where the answers come from; borrowed for the call. */
struct view_source {
	const struct domain *domain;
	const struct config *config;
	const struct peerlink *peerlink;
	const struct keepalive *keepalive;
	struct msec now, started;
};

/* Which entries are asked for; zero = any. */
struct mac_filter {
	uint16_t vlan, mclag;
	bool by_mac;
	struct mac mac;
};

Mclag__Control__Status *view_status(const struct view_source *source);
/* One leg, or all for id 0; NULL when there is none with that id. */
Mclag__Control__Ports *view_ports(const struct view_source *source, uint16_t id);
/* Without the parts of the switch and of the control socket itself, which their owners add. */
Mclag__Control__Counters *view_counters(const struct view_source *source);
void view_switch_counters(Mclag__Control__Counters *c, const struct switch_counters *counters);

bool view_mac_matches(const struct mac_filter *filter, const struct mac_view *entry);
Mclag__Control__MacEntry *view_mac_entry(const struct config *config, const struct mac_view *entry);
Mclag__Control__Event *view_event(const struct ring_line *line, struct msec now);

#endif
