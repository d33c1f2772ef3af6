/* SPDX-License-Identifier: ISC */
/*
 * Cables and power change both ends at once; who is attached notices in his own time. Rule 4 is promised from
 * the first fault on a whole pair until the next one: so each fault here says that it is one.
 */
#include "sim/fault.h"

#include "sim/invariants.h"

#define UNDISTURBED (3 * (int64_t)SIM_SECOND) /* longer than anything takes to be noticed */

/* Something that was whole breaks. */
static void breaks(struct sim *s)
{
	char why[WHY_SIZE];

	s->promised =
	    s->config.pdu_loss == 0 && s->queue.now - s->touched >= UNDISTURBED && invariants_whole(s, why);
	s->calm = false;
	s->touched = s->queue.now;
}

static void touch(struct sim *s, bool heals)
{
	invariants_dataplane(s); /* of what was until now */
	if (heals)
		s->touched = s->queue.now;
	else
		breaks(s);
}

static void carriers(struct sim *s)
{
	for (int leaf = 0; leaf < 2; leaf++)
		switch_carriers(s, leaf);
	invariants_dataplane(s);
}

void fault_leg(struct sim *s, int leaf, int leg, bool whole)
{
	if (s->cable[leaf][leg] == whole)
		return;
	touch(s, whole);
	if (!whole)
		invariants_calm(s, leg);
	sim_note(s, "%s leg %d:%u", whole ? "mend" : "cut", leaf + 1, s->config.legs[leg].id);
	s->cable[leaf][leg] = whole;
	host_cable(s, leg, leaf);
	carriers(s);
}

void fault_peer_link(struct sim *s, bool whole)
{
	if (s->peer_link_cable == whole)
		return;
	touch(s, whole);
	sim_note(s, "%s peer-link", whole ? "mend" : "cut");
	s->peer_link_cable = whole;
	carriers(s);
}

void fault_silent(struct sim *s, bool silent)
{
	if (s->peer_link_silent == silent)
		return;
	touch(s, !silent);
	sim_note(s, "peer-link %s", silent ? "falls silent, carrier stays" : "passes again");
	s->peer_link_silent = silent;
	invariants_dataplane(s);
}

void fault_path(struct sim *s, int path, int from, bool cut)
{
	struct path *p = &s->network.paths[path];

	for (int leaf = 0; leaf < 2; leaf++) {
		if ((from >= 0 && from != leaf) || p->cut[leaf] == cut)
			continue;
		if (!cut || !p->cut[1 - leaf])
			touch(s, !cut);
		if (cut && path != PATH_PEER_LINK)
			invariants_calm(s, -1);
		sim_note(s, "%s path %d from %d", cut ? "cut" : "mend", path, leaf + 1);
		p->cut[leaf] = cut;
	}
}

void fault_loss(struct sim *s, int path, uint32_t per_million)
{
	sim_note(s, "path %d loses %u.%04u %%", path, per_million / 10000, per_million % 10000);
	s->network.paths[path].loss[0] = s->network.paths[path].loss[1] = per_million;
	s->touched = s->queue.now;
	s->promised = s->calm = false;
}

void fault_leaf(struct sim *s, int leaf, bool on, int64_t daemon_after)
{
	if (s->switches[leaf].powered == on)
		return;
	touch(s, on);
	sim_note(s, "leaf %d %s", leaf + 1, on ? "boots" : "dies");
	if (!on) {
		s->switches[leaf].powered = false; /* nobody is told */
		node_kill(s, leaf);
	}
	s->nodes[leaf].saved = false;
	switch_power(s, leaf, on);
	invariants_dataplane(s);
	s->nodes[leaf].booting = on && daemon_after >= 0;
	if (s->nodes[leaf].booting)
		queue_put(&s->queue, s->queue.now + daemon_after,
			  &(struct happening){
			      .kind = HAPPEN_START, .leaf = leaf, .stamp = s->switches[leaf].power});
}

void fault_daemon(struct sim *s, int leaf, bool up, enum reason how)
{
	if (up && s->nodes[leaf].stopping)
		s->nodes[leaf].start_again = true;
	if (s->nodes[leaf].alive == up || !s->switches[leaf].powered || s->nodes[leaf].booting ||
	    (!up && s->nodes[leaf].stopping))
		return;
	touch(s, up);
	if (up) {
		node_start(s, leaf);
		return;
	}
	if (how != REASON_SHUTDOWN)
		invariants_calm(s, -1);
	if (how == REASON_NONE) {
		sim_note(s, "kill %d", leaf + 1);
		node_kill(s, leaf);
		return;
	}
	sim_note(s, "%s %d", reason_name(how), leaf + 1);
	node_stop(s, leaf, how);
}

void fault_host(struct sim *s, int host, bool on)
{
	if (s->hosts[host].on == on)
		return;
	s->touched = s->queue.now;
	s->promised = s->calm = false;
	sim_note(s, "host %d is switched %s", host + 1, on ? "on" : "off");
	s->hosts[host].on = on;
	for (int leaf = 0; leaf < 2; leaf++)
		host_cable(s, host, leaf);
	carriers(s);
}

void fault_deaf(struct sim *s, int host, bool deaf)
{
	if (s->hosts[host].deaf == deaf)
		return;
	s->touched = s->queue.now;
	s->promised = s->calm = false;
	sim_note(s, "host %d %s LACP", host + 1, deaf ? "stops to speak" : "speaks");
	s->hosts[host].deaf = deaf;
}

void fault_move(struct sim *s, uint32_t mac, int host)
{
	sim_note(s, "mac %u moves from host %d to host %d", mac, s->owner[mac] + 1, host + 1);
	s->owner[mac] = host;
	host_send(s, host, mac, FRAME_TO_ALL, mac, NULL);
}

void fault_delete(struct sim *s, int leaf, uint32_t mac)
{
	sim_note(s, "an operator deletes mac %u on leaf %d", mac, leaf + 1);
	switch_operator(s, leaf, mac, -1);
}

void fault_overrun(struct sim *s, int leaf, int64_t lasts)
{
	if (!s->nodes[leaf].alive)
		return;
	sim_note(s, "reports of leaf %d's table are lost for %lld ms", leaf + 1, (long long)(lasts / SIM_MS));
	s->touched = s->queue.now;
	switch_overrun(s, leaf, lasts);
}

void fault_refuse(struct sim *s, int leaf, int leg, bool isolate, int times)
{
	struct port *p = &s->switches[leaf].ports[1 + leg];

	if (times > 0) {
		s->promised = false;
		sim_note(s, "leaf %d refuses to %s mclag %u, %d times", leaf + 1,
			 isolate ? "isolate" : "forward", p->place.mclag, times);
	}
	*(isolate ? &p->refuse_isolate : &p->refuse_forward) = times;
}

void fault_slow(struct sim *s, int leaf, int64_t bytes_per_second)
{
	sim_note(s, "node %d reads %lld bytes per second", leaf + 1, (long long)bytes_per_second);
	s->network.bytes_per_second[leaf] = bytes_per_second;
}

void fault_heal(struct sim *s)
{
	sim_note(s, "everything heals");
	s->config.pdu_loss = 0;
	for (int i = 0; i < SIM_PATHS; i++) {
		fault_path(s, i, -1, false);
		s->network.paths[i].loss[0] = s->config.paths[i].loss[0];
		s->network.paths[i].loss[1] = s->config.paths[i].loss[1];
	}
	fault_silent(s, false);
	for (size_t i = 0; i < s->host_count; i++) {
		fault_host(s, (int)i, true);
		fault_deaf(s, (int)i, false);
	}
	for (int leaf = 0; leaf < 2; leaf++) {
		for (size_t i = 0; i < s->config.leg_count; i++) {
			fault_leg(s, leaf, (int)i, true);
			fault_refuse(s, leaf, (int)i, false, 0);
			fault_refuse(s, leaf, (int)i, true, 0);
		}
		s->network.bytes_per_second[leaf] = 0;
	}
	fault_peer_link(s, true);
	for (int leaf = 0; leaf < 2; leaf++) {
		fault_leaf(s, leaf, true, FAULT_BOOT);
		fault_daemon(s, leaf, true, REASON_NONE);
	}
}
