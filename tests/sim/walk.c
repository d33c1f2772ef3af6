/* SPDX-License-Identifier: ISC */
/*
 * sim_walk: one random life of a pair for each seed.
 *
 * A configuration is rolled, the pair boots, faults come and go at random, sometimes one on top of the other;
 * then everything heals, and after a while the pair must be whole, its tables equal, every host within reach,
 * and after two ageings of silence everything forgotten. Every so often a seed is run twice, and must give
 * the same trace.
 */
#include "sim/fault.h"
#include "sim/invariants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_EVERY   100 /* seeds: determinism */
#define SETTLE_FAST   (60 * (int64_t)SIM_SECOND)
#define SETTLE_SLOW   (240 * (int64_t)SIM_SECOND)
#define SETTLE_STEP   (250 * SIM_MS)
#define LACP_MEMORY   (3500 * SIM_MS) /* what was lost before may still run into a time-out */
#define OVERRUN_MOST  (200 * SIM_MS)  /* until a daemon has noticed, and the dump is read */
#define TABLES_WITHIN (5 * (int64_t)SIM_SECOND)
#define FAILURE_LINES 60

static bool coin(struct dice *d, uint32_t percent)
{
	return dice_chance(d, percent * 10000);
}

/* --- the configuration of a life -------------------------------------------------------------------- */

static void roll_leg(struct dice *d, struct sim_config *c, size_t i)
{
	static const int64_t notices[] = {0, 10 * SIM_MS, 100 * SIM_MS};
	bool lacp = coin(d, 80);

	c->legs[i].id = (uint16_t)(i == 0 ? 1 : c->legs[i - 1].id + 1 + dice_below(d, 40));
	c->legs[i].speaker = lacp ? SPEAKER_ENGINE : SPEAKER_STATIC;
	c->legs[i].active = coin(d, 80);
	c->legs[i].fast = coin(d, 90);
	/* One roll a statement: the order of evaluation inside of one is the compiler's. */
	struct host_config *h = &c->hosts[i];
	*h = (struct host_config){.lacp = lacp};
	h->active = !c->legs[i].active || coin(d, 80);
	h->fast = coin(d, 90);
	h->eager = coin(d, 70);
	h->wait = coin(d, 50) ? 0 : 2 * SIM_SECOND;
	h->notice = notices[dice_below(d, 3)];
}

static void roll_path(struct dice *d, struct path *p)
{
	p->delay_min = dice_between(d, 100, coin(d, 20) ? 10000 : 500);
	p->delay_max = p->delay_min + dice_between(d, 0, coin(d, 20) ? 10000 : 500);
	p->loss[0] = coin(d, 20) ? dice_below(d, 20000) : 0;
	p->loss[1] = coin(d, 20) ? dice_below(d, 20000) : 0;
}

static void roll_config(struct dice *d, struct sim_config *c, uint64_t seed)
{
	static const int64_t intervals[] = {50, 100, 100, 200};

	sim_config_defaults(c);
	c->seed = seed;
	c->leg_count = 1 + dice_below(d, SIM_LEGS);
	c->orphan_count[0] = dice_below(d, SIM_ORPHANS + 1);
	c->orphan_count[1] = dice_below(d, SIM_ORPHANS + 1);
	c->macs_per_host = 1 + dice_below(d, 3);
	c->vlan = coin(d, 50) ? 0 : (uint16_t)(1 + dice_below(d, VLAN_MAX));
	c->priority[0] = (uint16_t)(100 + dice_below(d, 2));
	c->priority[1] = (uint16_t)(100 + dice_below(d, 2));
	c->pair.keepalive_ms = intervals[dice_below(d, 4)];
	c->pair.multiplier = dice_between(d, 4, 6);
	c->pair.alone_ms = dice_between(d, 5000, 10000);
	c->pair.ceiling_ms = dice_between(d, 5000, 20000);
	c->pair.grace_ms = dice_between(d, 2000, 10000);
	c->pair.ageing_ms = dice_between(d, 4000, 12000);
	c->pair.on_split = coin(d, 50) ? SPLIT_ARBITRATE : SPLIT_STAY;
	for (size_t i = 0; i < c->leg_count; i++)
		roll_leg(d, c, i);
	for (int i = 0; i < SIM_PATHS; i++)
		roll_path(d, &c->paths[i]);
	c->report_max = dice_between(d, 0, 5 * SIM_MS);
	c->carrier_max = dice_between(d, 0, 300 * SIM_MS);
	c->pdu_max = dice_between(d, 10, 5 * SIM_MS);
	c->pdu_loss = coin(d, 20) ? dice_below(d, 20000) : 0;
	c->traffic_every = dice_between(d, 50, 400) * SIM_MS;
}

static bool slow_lacp(const struct sim_config *c)
{
	for (size_t i = 0; i < c->leg_count; i++) {
		if (c->hosts[i].lacp &&
		    (!c->legs[i].fast || !c->hosts[i].fast || !c->legs[i].active || !c->hosts[i].active))
			return true;
	}
	return false;
}

/* --- faults ----------------------------------------------------------------------------------------- */

#define FAULTS(X)                                                                                            \
	X(FAULT_LEG, 20)                                                                                     \
	X(FAULT_PEER_LINK, 10)                                                                               \
	X(FAULT_SILENT, 4)                                                                                   \
	X(FAULT_PATH, 10)                                                                                    \
	X(FAULT_ONE_WAY, 4)                                                                                  \
	X(FAULT_LOSS, 3)                                                                                     \
	X(FAULT_KILL, 10)                                                                                    \
	X(FAULT_RESTART, 6)                                                                                  \
	X(FAULT_SHUTDOWN, 4)                                                                                 \
	X(FAULT_LEAF, 8)                                                                                     \
	X(FAULT_HOST, 2)                                                                                     \
	X(FAULT_DEAF, 2)                                                                                     \
	X(FAULT_MOVE, 10)                                                                                    \
	X(FAULT_QUIET, 6)                                                                                    \
	X(FAULT_DELETE, 4)                                                                                   \
	X(FAULT_OVERRUN, 4)                                                                                  \
	X(FAULT_REFUSE, 4)                                                                                   \
	X(FAULT_SLOW, 3)                                                                                     \
	X(FAULT_HEAL, 8)
#define FAULT_MEMBER(name, weight) name,
#define FAULT_WEIGHT(name, weight) weight,
enum fault_kind { FAULTS(FAULT_MEMBER) FAULT_COUNT };
static const uint32_t fault_weights[] = {FAULTS(FAULT_WEIGHT)};

static enum fault_kind roll_fault(struct dice *d)
{
	uint32_t total = 0, roll, i = 0;

	for (size_t k = 0; k < FAULT_COUNT; k++)
		total += fault_weights[k];
	for (roll = dice_below(d, total); roll >= fault_weights[i]; i++)
		roll -= fault_weights[i];
	return (enum fault_kind)i;
}

/* 0.1 ms .. 10 s, every order of magnitude alike. */
static int64_t roll_while(struct dice *d)
{
	static const int64_t tens[] = {100, SIM_MS, 10 * SIM_MS, 100 * SIM_MS, 100 * SIM_MS, SIM_SECOND};

	int64_t ten = tens[dice_below(d, 6)];

	return ten * dice_between(d, 1, 10) * 6 / 10;
}

/* Breaks or, when it is broken already, heals one thing. As long as the list of faults. */
static void apply(struct sim *s, struct dice *d, enum fault_kind kind)
{
	int leaf = (int)dice_below(d, 2), path = (int)dice_below(d, SIM_PATHS);
	int leg = (int)dice_below(d, (uint32_t)s->config.leg_count),
	    host = (int)dice_below(d, (uint32_t)s->host_count);
	uint32_t mac = dice_below(d, s->mac_count);

	switch (kind) {
	case FAULT_LEG:
		fault_leg(s, leaf, leg, !s->cable[leaf][leg]);
		return;
	case FAULT_PEER_LINK:
		fault_peer_link(s, !s->peer_link_cable);
		return;
	case FAULT_SILENT:
		fault_silent(s, !s->peer_link_silent);
		return;
	case FAULT_PATH:
		fault_path(s, path, -1, !s->network.paths[path].cut[0]);
		return;
	case FAULT_ONE_WAY:
		fault_path(s, path, leaf, !s->network.paths[path].cut[leaf]);
		return;
	case FAULT_LOSS:
		fault_loss(s, path, coin(d, 30) ? 0 : dice_below(d, 400000));
		return;
	case FAULT_KILL:
		fault_daemon(s, leaf, !s->nodes[leaf].alive, REASON_NONE);
		return;
	case FAULT_RESTART:
		fault_daemon(s, leaf, !s->nodes[leaf].alive, REASON_RESTART);
		return;
	case FAULT_SHUTDOWN:
		fault_daemon(s, leaf, !s->nodes[leaf].alive, REASON_SHUTDOWN);
		return;
	case FAULT_LEAF:
		fault_leaf(s, leaf, !s->switches[leaf].powered, FAULT_BOOT + dice_between(d, 0, SIM_SECOND));
		return;
	case FAULT_HOST:
		fault_host(s, host, !s->hosts[host].on);
		return;
	case FAULT_DEAF:
		fault_deaf(s, host, !s->hosts[host].deaf);
		return;
	case FAULT_MOVE:
		fault_move(s, mac, host);
		return;
	case FAULT_QUIET:
		s->hosts[host].quiet = !s->hosts[host].quiet;
		return;
	case FAULT_DELETE:
		fault_delete(s, leaf, mac);
		return;
	case FAULT_OVERRUN:
		fault_overrun(s, leaf, dice_between(d, 0, OVERRUN_MOST));
		return;
	case FAULT_REFUSE:
		fault_refuse(s, leaf, leg, mac % 2, (int)dice_below(d, 3));
		return;
	case FAULT_SLOW:
		fault_slow(s, leaf, coin(d, 30) ? 0 : dice_between(d, 2000, 50000));
		return;
	case FAULT_HEAL:
		fault_heal(s);
		return;
	case FAULT_COUNT:
		break;
	}
	abort();
}

/* --- a life ----------------------------------------------------------------------------------------- */

static bool settle(struct sim *s, const char *when)
{
	int64_t until = s->queue.now + (slow_lacp(&s->config) ? SETTLE_SLOW : SETTLE_FAST);
	char why[WHY_SIZE];

	while (s->queue.now < until) {
		if (!sim_run(s, SETTLE_STEP))
			return false;
		if (invariants_whole(s, why))
			return true;
	}
	sim_fail(s, "after quiet: %s, the pair is not whole: %s", when, why);
	return false;
}

/* Whether a host is promised to be served, though one thing is broken (behaviour.md section 1). An orphan
 * depends on its leaf, and on the peer link unless that leaf is primary or the only one. */
static bool served(const struct sim *s, int host)
{
	const struct host *h = &s->hosts[host];
	struct domain_view v = {.role = ROLE_NONE};

	if (h->leaf < 0 && h->config.lacp)
		return true;
	if (h->leaf < 0) { /* nobody can tell it to leave a leg that is held */
		for (int leaf = 0; leaf < 2; leaf++) {
			const struct port *p = &s->switches[leaf].ports[h->port];
			if (p->carrier && !p->forwarding)
				return false;
		}
		return true;
	}
	const struct node *n = &s->nodes[h->leaf];
	if (!s->switches[h->leaf].powered || n->stop_reason == REASON_SHUTDOWN)
		return false;
	if (n->alive)
		domain_view(n->domain, &v);
	return (sim_peer_link_cable(s) && !s->peer_link_silent) || v.role == ROLE_PRIMARY;
}

static bool all_reach_all(struct sim *s, const char *when)
{
	for (int from = 0; from < (int)s->host_count; from++) {
		for (int to = 0; to < (int)s->host_count; to++) {
			for (uint32_t flow = 0; flow < 2; flow++) {
				if (from == to || !served(s, from) || !served(s, to) ||
				    invariants_reach(s, from, to, flow))
					continue;
				sim_fail(s, "%s: host %d does not reach host %d with flow %u", when, from + 1,
					 to + 1, flow);
				return false;
			}
		}
	}
	return true;
}

/* Where a MAC moved to while nobody could hear it becomes known. */
static void everybody_speaks(struct sim *s)
{
	for (uint32_t mac = 0; mac < s->mac_count; mac++)
		host_send(s, s->owner[mac], mac, FRAME_TO_ALL, mac, NULL);
}

/* Nobody sends: what is on its way arrives, then both leaves must agree. */
static bool tables_agree(struct sim *s, const char *when)
{
	int64_t until = s->queue.now + TABLES_WITHIN;
	char why[WHY_SIZE];

	while (s->queue.now < until) {
		if (!sim_run(s, SETTLE_STEP / 5))
			return false;
		if (invariants_tables(s, why))
			return true;
	}
	sim_fail(s, "%s (%s)", why, when);
	return false;
}

static void all_quiet(struct sim *s, bool quiet)
{
	for (size_t i = 0; i < s->host_count; i++)
		s->hosts[i].quiet = quiet;
}

/* After healing: one rule after the other that needs quiet. */
static bool rest(struct sim *s, struct dice *d)
{
	char why[WHY_SIZE];

	fault_heal(s);
	all_quiet(s, false);
	if (!sim_run(s, LACP_MEMORY) || !settle(s, "after everything has healed"))
		return false;
	s->whole_since = s->queue.now;
	if (!sim_run(s, dice_between(d, 1, 2000) * SIM_MS))
		return false;
	if (!invariants_whole(s, why)) {
		sim_fail(s, "after quiet: the pair does not stay whole: %s", why);
		return false;
	}
	all_quiet(s, true);
	everybody_speaks(s);
	if (!tables_agree(s, "after traffic") || !all_reach_all(s, "after quiet") ||
	    !tables_agree(s, "after reach"))
		return false;
	if (coin(d, 30)) {
		if (!sim_run(s, s->config.pair.ageing_ms * SIM_MS * 5 / 2 + SIM_SECOND))
			return false;
		if (!invariants_aged(s, why)) {
			sim_fail(s, "%s", why);
			return false;
		}
	}
	all_quiet(s, false);
	return true;
}

/* One thing is broken, and stays so: whoever can be served is. While a daemon is dead only until hosts notice. */
static void endure(struct sim *s)
{
	bool dead = false;

	for (int leaf = 0; leaf < 2; leaf++)
		dead =
		    dead || (s->switches[leaf].powered && (!s->nodes[leaf].alive || s->nodes[leaf].stopping));
	if (!s->promised || slow_lacp(&s->config) || (dead && s->queue.now - s->touched > SIM_SECOND / 2))
		return;
	if (!dead && !sim_run(s, LACP_MEMORY + SIM_SECOND))
		return;
	everybody_speaks(s);
	if (sim_run(s, 100 * SIM_MS) && s->promised)
		all_reach_all(s, "while one thing is broken");
}

static void boot(struct sim *s, struct dice *d)
{
	int first = (int)dice_below(d, 2);

	fault_leaf(s, first, true, dice_between(d, 0, SIM_SECOND));
	sim_run(s, coin(d, 70) ? 0 : roll_while(d));
	fault_leaf(s, 1 - first, true, dice_between(d, 0, SIM_SECOND));
}

static void live(struct sim *s, uint64_t seed, unsigned steps, FILE *out, bool detail)
{
	struct dice d = {seed ^ 0x6d636c616764u};
	struct sim_config c;

	roll_config(&d, &c, seed);
	c.out = out;
	c.detail = detail;
	sim_init(s, &c);
	boot(s, &d);
	if (coin(&d, 80) && !settle(s, "after boot"))
		return;
	bool one_at_a_time = coin(&d, 30);
	for (unsigned i = 0; i < steps && !s->failed; i++) {
		if (one_at_a_time && i > 0) {
			fault_heal(s);
			settle(s, "between two faults");
		}
		apply(s, &d, roll_fault(&d));
		sim_run(s, roll_while(&d));
		if (one_at_a_time && coin(&d, 50))
			endure(s);
	}
	if (!s->failed)
		rest(s, &d);
}

/* --- the program ------------------------------------------------------------------------------------ */

static void print_failure(const struct sim *s, const char *program, uint64_t seed, unsigned steps, bool lines)
{
	uint64_t first = s->line_count > FAILURE_LINES ? s->line_count - FAILURE_LINES : 0;

	for (uint64_t i = first; lines && i < s->line_count; i++)
		sim_print_line(stdout, &s->lines[i % SIM_LINES]);
	printf("seed %llu: %s\nagain: %s --seed %llu --count 1 --steps %u --verbose\n",
	       (unsigned long long)seed, s->failure, program, (unsigned long long)seed, steps);
}

/* 0 = not a number. */
static uint64_t number(const char *text)
{
	char *end;

	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	return errno || *end || end == text ? 0 : n;
}

static bool walk(struct sim *s, const char *program, uint64_t seed, unsigned steps, FILE *out, bool detail,
		 uint64_t *events)
{
	live(s, seed, steps, out, detail);
	bool failed = s->failed;
	uint64_t hash = s->hash;
	*events += s->queue.order;
	if (failed)
		print_failure(s, program, seed, steps, out == NULL);
	sim_release(s);
	if (failed || seed % AGAIN_EVERY)
		return !failed;
	live(s, seed, steps, NULL, false);
	bool same = s->hash == hash;
	sim_release(s);
	if (!same)
		printf("seed %llu: 8: equal event sequences give different traces\n",
		       (unsigned long long)seed);
	return same;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 1, steps = 8, events = 0, failures = 0;
	bool verbose = false, detail = false, go_on = false;

	for (int i = 1; i < argc; i++) {
		uint64_t *value = !strcmp(argv[i], "--seed")    ? &seed
				  : !strcmp(argv[i], "--count") ? &count
				  : !strcmp(argv[i], "--steps") ? &steps
								: NULL;
		if (!strcmp(argv[i], "--verbose"))
			verbose = true;
		else if (!strcmp(argv[i], "--detail"))
			verbose = detail = true;
		else if (!strcmp(argv[i], "--go-on"))
			go_on = true;
		else if (!value || i + 1 == argc || !(*value = number(argv[++i]))) {
			fprintf(
			    stderr,
			    "usage: %s [--seed S] [--count N] [--steps K] [--verbose|--detail] [--go-on]\n",
			    argv[0]);
			return 2;
		}
	}
	struct sim *s = malloc(sizeof *s);
	if (!s)
		abort();
	uint64_t end = seed + count;
	for (; seed < end && (go_on || failures == 0); seed++)
		failures +=
		    !walk(s, argv[0], seed, (unsigned)steps, verbose ? stdout : NULL, detail, &events);
	free(s);
	if (failures == 0)
		printf("%llu seeds, %llu happenings: every invariant holds\n", (unsigned long long)count,
		       (unsigned long long)events);
	return failures ? 1 : 0;
}
