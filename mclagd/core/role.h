/* SPDX-License-Identifier: ISC */
/*
 * core/role.h - who is primary. Pure functions over what the two Hellos said; no state of its own.
 *
 * "The node that carried traffic wins every merge", no preemption: priority decides only between equals.
 */
#ifndef CORE_ROLE_H
#define CORE_ROLE_H

#include "proto/message.h"

/* The role of `self` when it meets `peer`; both are the Hellos as sent, so that both leaves compare the same
 * values. Antisymmetric: exactly one of role_elect(a, b), role_elect(b, a) is primary. Node numbers differ.
 */
enum role role_elect(const struct hello *self, const struct hello *peer);
/* The epoch both nodes have after that election. Symmetric. */
uint64_t role_epoch(const struct hello *self, const struct hello *peer);

#endif
