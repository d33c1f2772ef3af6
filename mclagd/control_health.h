/* SPDX-License-Identifier: ISC */
/*
 * control_health.h - the verdict over everything: is this pair as it should be, what is not, and what must
 * not fail now. A pure function of the core's views.
 *
 * down: mclags are configured, none of them forwards on this leaf, and the peer is not known to forward for
 * any (its word counts while it is heard, or is restarting with its dataplane frozen). degraded: not down,
 * and there is at least one finding. healthy: neither.
 *
 * An mclag whose ports have carrier on neither leaf has no host: that is no finding.
 */
#ifndef MCLAGD_CONTROL_HEALTH_H
#define MCLAGD_CONTROL_HEALTH_H

#include "core/domain.h"
#include "mclagd/config.h"
#include "proto/control.pb-c.h"

struct health_lines {
	char **lines; /* allocated, to be moved into a Status */
	size_t count;
};

/* legs: view->mclag_count of them. config: for names alone. Appends to findings and single_points. */
Mclag__Control__Health health_judge(const struct domain_view *view, const struct leg_view *legs,
				    const struct config *config, struct health_lines *findings,
				    struct health_lines *single_points);

/* Names for texts: "peer-link", "mgmt"; the port of a leg. "?" for what is not configured. */
const char *health_path_name(const struct config *config, int path);
const char *health_leg_port(const struct config *config, uint16_t mclag);

#endif
