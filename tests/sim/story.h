/* SPDX-License-Identifier: ISC */
/*
 * story - the words of a story file, for sim_story.
 *
 * One command a line, `#` to the end of a line is a comment. What is configured comes first; the first other
 * command builds the pair. Leaves, mclags and hosts are named as the trace names them: `1`, `1:5` is leaf 1's
 * leg of mclag 5, `h3` the third host (dual-attached ones first, then leaf 1's orphans, then leaf 2's).
 *
 *   legs N | orphans N N | macs N | static N | set KEY VALUE       the configuration
 *   boot 1|2|both          power; the daemon starts at once
 *   run TIME               100ms, 2s
 *   until whole TIME       at most so long
 *   cut, mend leg L:M | peer-link | path P [from L]
 *   silence, unsilence     the peer link: carrier stays, nothing passes
 *   kill, start, restart, shutdown, off, on L
 *   host-off, host-on, deaf, hear, quiet, talk hN
 *   speak hN               each of its MACs sends a frame to all
 *   move MAC hN | delete L MAC | fix L MAC hN | overrun L | refuse forward|isolate L:M N | slow L BYTES
 *   flow hN hN             measure from now on, a frame each millisecond on each of the sender's members
 *   outage TIME            the longest gap of the flow until now was at most so long; prints it
 *   expect whole | tables | aged | reach hN hN | no-reach hN hN
 *   expect forwarding|held|leaving|isolated|open L:M
 *   expect role|verdict|session L WORD | place L MAC leg:N|orphan|peer-link|none
 *   expect members hN COUNT | undisturbed hN     (it has lost no member since the story began)
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include "sim/fault.h"
#include "sim/invariants.h"

#include <string.h>

#define STORY_WORDS 8

struct flow {
	bool on;
	int from, to;
	uint32_t ids[2]; /* sent last, one on each member */
	int64_t lost_since;
	int64_t longest;
};

struct story {
	const char *file;
	int line;
	int count;
	char *words[STORY_WORDS];
	struct sim_config config;
	struct sim *sim; /* NULL until built */
	struct flow flow;
	char problem[320];
};

static inline bool word_is(const char *word, const char *name)
{
	return strcmp(word, name) == 0;
}

/* One line of the file, cut into words. False: problem says why. */
bool story_command(struct story *t);
bool story_problem(struct story *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lets time pass, with the flow if there is one. */
bool story_run(struct story *t, int64_t duration);

/* Words of a line into what they name. */
bool story_leaf(struct story *t, const char *word, int *leaf);
bool story_leg(struct story *t, const char *word, int *leaf, int *leg);
bool story_host(struct story *t, const char *word, int *host);
bool story_mac(struct story *t, const char *word, uint32_t *mac);
bool story_expect(struct story *t);

#endif
