/* SPDX-License-Identifier: ISC */
/*
 * daemon.h - the shell around the core: owns the event loop, the domain and all rooms, and carries events in
 * and actions out. Every callback builds an event, steps the domain, performs the actions in order, and arms
 * the one timer. It decides nothing.
 */
#ifndef MCLAGD_DAEMON_H
#define MCLAGD_DAEMON_H

#include "core/domain.h"
#include "mclagd/config.h"
#include "mclagd/journal.h"
#include "mclagd/ring.h"
#include "mclagd/switch.h"
#include "peerlink/keepalive.h"
#include "peerlink/peerlink.h"

struct event_base;
struct daemon;

/* Builds everything in the order of the list in daemon.c, and on failure takes it down in the reverse order.
 * config is borrowed. 0, or -errno with the reason in why; -EKEYREJECTED: a key file can never work as it is.
 */
int daemon_create(struct daemon **d, struct event_base *base, const struct config *config, char *why,
		  size_t size);
void daemon_destroy(struct daemon *d);
/* Says goodbye on every path (REASON_RESTART or REASON_SHUTDOWN), waits until it has left, then ends the
 * loop. */
void daemon_stop(struct daemon *d, enum reason reason);

/* For the control socket: to read. */
const struct domain *daemon_domain(const struct daemon *d);
/* In a forked copy of this process only, which may do with it what it likes. */
struct domain *daemon_copied_domain(struct daemon *d);
const struct config *daemon_config(const struct daemon *d);
struct ring *daemon_ring(struct daemon *d); /* to read, and to listen */
const struct peerlink *daemon_peerlink(const struct daemon *d);
const struct keepalive *daemon_keepalive(const struct daemon *d);
void daemon_switch_counters(const struct daemon *d, struct switch_counters *counters);
struct msec daemon_now(const struct daemon *d);
struct msec daemon_started(const struct daemon *d);
/* False: none is configured, or it could not be begun. */
bool daemon_journal(const struct daemon *d, struct journal_counters *c);

#endif
