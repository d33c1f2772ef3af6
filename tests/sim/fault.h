/* SPDX-License-Identifier: ISC */
/*
 * fault - what breaks and heals, for stories and walks alike. Each leaves a line in the trace.
 *
 * The simulation must not be inside sim_run(). Leaves are 0 and 1; legs and hosts count from 0.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim/sim.h"

#define FAULT_BOOT (1500 * SIM_MS) /* no leaf boots faster, from power to daemon */

void fault_leg(struct sim *s, int leaf, int leg, bool whole);
void fault_peer_link(struct sim *s, bool whole);
/* Carrier stays, nothing passes: neither data nor the session nor keepalives. */
void fault_silent(struct sim *s, bool silent);
/* Keepalives and the session do not pass, data on the peer link does. from: a leaf, or -1 = both ways. */
void fault_path(struct sim *s, int path, int from, bool cut);
void fault_loss(struct sim *s, int path, uint32_t per_million);
/* Power. Off: the daemon is gone with it. On: it boots, and the daemon starts after a delay (-1 = not). */
void fault_leaf(struct sim *s, int leaf, bool on, int64_t daemon_after);
/* REASON_NONE = kill -9. */
void fault_daemon(struct sim *s, int leaf, bool up, enum reason how);
void fault_host(struct sim *s, int host, bool on);
void fault_deaf(struct sim *s, int host, bool deaf);
/* A MAC moves to another host, which is heard from it at once. */
void fault_move(struct sim *s, uint32_t mac, int host);
void fault_delete(struct sim *s, int leaf, uint32_t mac);
void fault_overrun(struct sim *s, int leaf, int64_t lasts);
/* The next so many writes for the leg are refused. */
void fault_refuse(struct sim *s, int leaf, int leg, bool isolate, int times);
void fault_slow(struct sim *s, int leaf, int64_t bytes_per_second);
/* Everything that is broken is whole again, daemons run. */
void fault_heal(struct sim *s);

#endif
