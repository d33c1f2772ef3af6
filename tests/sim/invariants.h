/* SPDX-License-Identifier: ISC */
/*
 * invariants - the rules of behaviour.md section 3, one function each.
 *
 * Those of the moment are checked around every step of a core; what holds only "after quiet" is asked for by
 * the run, when everything is healed and time has passed. Frames (rule 2) are watched where hosts take them,
 * deadlines and memory (rule 8) in node.c and network.c.
 *
 * When the pair is apart (two failures at once), behaviour.md promises no reach: then only safety is left,
 * that is rules 2, 3, 7 and 8.
 */
#ifndef SIM_INVARIANTS_H
#define SIM_INVARIANTS_H

#include "sim/sim.h"

#define WHY_SIZE 200

/* Just before an action of this leaf is performed. */
void invariants_action(struct sim *s, int leaf, const struct action *a);
/* After all actions of a step. */
void invariants_step(struct sim *s, int leaf);
/* The fault just made is one that hosts do not see; `except`: this one does (-1 = none). */
void invariants_calm(struct sim *s, int except);
/* What leaves no daemon a word: a cable, a leaf's power. */
void invariants_dataplane(struct sim *s);

/* The pair is at rest, with nothing missing. Else `why` says what is. */
bool invariants_whole(const struct sim *s, char why[static WHY_SIZE]);
/* Rule 5; nobody may be sending. */
bool invariants_tables(const struct sim *s, char why[static WHY_SIZE]);
/* Rule 6, last part: everybody was silent for longer than both agings. */
bool invariants_aged(const struct sim *s, char why[static WHY_SIZE]);
/* Whether a frame of this flow arrives, exactly once. Lets a millisecond pass. */
bool invariants_reach(struct sim *s, int from, int to, uint32_t flow);

#endif
