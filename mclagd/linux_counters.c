/* SPDX-License-Identifier: ISC */
/*
 * What the rooms of netlink/ have counted, as one list. LACPDUs are summed over all legs, with what was counted
 * by the sockets of ports that went away; how many each leg took is in the core's own counters.
 */
#include "mclagd/linux.h"

static void count_links(const struct switch_driver *sw, struct switch_counters *to)
{
	const struct link_counters c = link_counters(sw->links);
	to->link_messages = c.messages;
	to->link_overruns = c.overruns;
	to->link_restarts = c.restarts;
	to->link_malformed = c.malformed;
	to->link_excess = c.excess;
}

static void count_entries(const struct switch_driver *sw, struct switch_counters *to)
{
	const struct fdb_counters c = fdb_counters(sw->fdb);
	to->entry_messages = c.messages;
	to->entry_overruns = c.overruns;
	to->entry_discarded = c.discarded;
	to->entry_restarts = c.restarts;
	to->entry_malformed = c.malformed;
	to->entry_adds = c.adds;
	to->entry_deletes = c.deletes;
	to->entry_batches = c.batches;
	to->entry_refused = c.refused;
	to->entry_absent = c.absent;
	to->entry_excess = c.excess;
}

static void count_gates(const struct switch_driver *sw, struct switch_counters *to)
{
	const struct isolation_counters c = isolation_counters(sw->isolation);
	to->gate_looks = c.looks;
	to->gate_repairs = c.repairs;
	to->gate_failures = c.failures;
	to->gate_overruns = c.overruns;
}

static void add_lacpdus(const struct lacpdu_counters *c, struct switch_counters *to)
{
	to->lacpdu_received += c->received;
	to->lacpdu_sent += c->sent;
	to->lacpdu_refused += c->refused;
	to->lacpdu_errors += c->errors;
}

static void count_lacpdus(const struct port *p, struct switch_counters *to)
{
	add_lacpdus(&p->lacpdu_before, to);
	if (p->lacpdu) {
		const struct lacpdu_counters c = lacpdu_counters(p->lacpdu);
		add_lacpdus(&c, to);
	}
	for (int error = LACPDU_OK + 1; error < LACPDU_ERROR_COUNT; error++) {
		if (error == LACPDU_SUBTYPE)
			to->lacpdu_others += p->bad_lacpdus[error];
		else
			to->lacpdu_malformed += p->bad_lacpdus[error];
	}
}

void switch_counters(const struct switch_driver *sw, struct switch_counters *counters)
{
	*counters = (struct switch_counters){0};
	count_links(sw, counters);
	count_entries(sw, counters);
	count_gates(sw, counters);
	for (size_t i = 0; i < sw->port_count; i++)
		count_lacpdus(&sw->ports[i], counters);
}
