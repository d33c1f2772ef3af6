/* SPDX-License-Identifier: ISC */
/*
 * lacp_rig.h - one LACP port in virtual time for the tests: calls it, checks what must hold after every call,
 * and keeps what the call made it do.
 */
#ifndef TESTS_UNIT_LACP_RIG_H
#define TESTS_UNIT_LACP_RIG_H

#include "core/lacp.h"

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	MUX_BITS = LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING,
	HOST_IDLE = LACP_ACTIVITY | LACP_AGGREGATION,
	HOST_SYNC = HOST_IDLE | LACP_SYNC,
	HOST_COLLECTING = HOST_SYNC | LACP_COLLECTING,
	HOST_ALL = HOST_COLLECTING | LACP_DISTRIBUTING,
};

extern const struct lacp_config fast_active;
extern const struct lacp_info host;

/* One port, and what the last call made it do. */
struct rig {
	struct lacp l;
	struct step s;
	size_t sent; /* PDUs of the last call: 0 or 1 */
	struct lacpdu pdu;
	char trace[4096]; /* of all calls, one line each */
};

void rig_open(struct rig *r, const struct lacp_config *config);
void rig_close(struct rig *r);
/* Takes the step's actions and traces, after any call of a lacp_ function. */
void took(struct rig *r);

void carrier(struct rig *r, bool up);
void open_gate(struct rig *r, bool open);
void receive(struct rig *r, const struct lacp_info *actor, uint8_t state, const struct lacp_info *partner);
/* A PDU of the host, which knows us as we are now. */
void hear(struct rig *r, uint8_t state);
void timer(struct rig *r);
/* Time passes, with nothing in between, until the receive machine's timer runs out; 1 ms if it does not run.
 */
void timer_expire(struct rig *r);
/* Runs every deadline until then. Returns the PDUs sent. */
size_t run_until(struct rig *r, int64_t ms);
size_t run_for(struct rig *r, int64_t ms);

/* A mux state and the gate: DETACHED is reached with either. */
enum place_in_mux { SHUT, FREE, WAITING, ATTACHED, COLLECTING, DISTRIBUTING, PLACE_COUNT };

/* A fresh port led there; steady, with nothing due but its next periodic PDU. */
void mux_reach(struct rig *r, enum place_in_mux place);

#endif
