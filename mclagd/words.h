/* SPDX-License-Identifier: ISC */
/*
 * words.h - what the rooms tell each other, from the one's words into the other's. Pure.
 */
#ifndef MCLAGD_WORDS_H
#define MCLAGD_WORDS_H

#include "core/step.h"
#include "mclagd/config.h"
#include "peerlink/keepalive.h"
#include "peerlink/peerlink.h"

/* heard_event.echo_ms of a peer that does not hear us: as old as can be, without an overflow. */
#define WORDS_NO_ECHO_MS (INT64_C(1) << 40)

/* Why the transport ended, for the core. */
enum reason words_reason(enum peerlink_reason reason);
/* A fresh keepalive, but for its beacon, which is zero. */
struct heard_event words_heard(int path, const struct keepalive_heard *h);
/* How loud a trace line is for the operator. */
enum config_log_level words_level(enum trace_level level);

#endif
