/* SPDX-License-Identifier: ISC */
/*
 * core/leg.h - between leg.c (one leg and its phases) and mclag.c (both legs of all mclags). Nobody else includes this.
 */
#ifndef CORE_LEG_H
#define CORE_LEG_H

#include "core/mclag.h"

struct place leg_place(const struct leg *leg);
/* In this phase frames may pass, or may do so before the peer hears of the next. */
bool leg_may_carry(enum leg_phase phase);
/* Brings the phase in line with the holds, and tells the peer. */
void leg_evaluate(struct mclags *ms, struct step *s, struct leg *leg);
/* Sends LegState, when it differs from the last one sent. */
void leg_tell(struct mclags *ms, struct step *s, struct leg *leg);
/* The one door between phases. */
void leg_enter(struct mclags *ms, struct step *s, struct leg *leg, enum leg_phase phase, enum reason reason);
void leg_opening(struct mclags *ms, struct step *s, struct leg *leg, enum reason reason);
void leg_close(struct mclags *ms, struct step *s, struct leg *leg, enum reason reason);
/* Brings isolation in line with peer_open. */
void leg_isolate(struct step *s, struct leg *leg);
/* Sends a LegRequest with a new nonce. */
void leg_ask(struct step *s, struct leg *leg);
void leg_send_handshake(struct step *s, enum message_kind kind, uint16_t id, uint32_t nonce, bool granted);

#endif
