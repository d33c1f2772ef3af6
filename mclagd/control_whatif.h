/* SPDX-License-Identifier: ISC */
/*
 * control_whatif.h - `mclagctl whatif`: a question, put to a forked copy of the daemon. One at a time, for a
 * copy of the daemon costs as much memory as the daemon changes while it lives.
 */
#ifndef MCLAGD_CONTROL_WHATIF_H
#define MCLAGD_CONTROL_WHATIF_H

#include "mclagd/fork.h"
#include "proto/control.pb-c.h"

#include <stdbool.h>

#define WHATIF_MS 5000 /* a copy may take so long */

struct daemon;
struct event_base;
struct whatif;

/* Embedded by the owner. */
struct whatif_owner {
	/* Once, for the last question: the Response, which is the callee's; an answer or an Error. */
	void (*answered)(struct whatif_owner *self, Mclag__Control__Response *r);
};

struct whatif *whatif_create(struct event_base *base, struct daemon *daemon, struct whatif_owner *owner);
/* Ends a copy that is still thinking. Takes NULL. */
void whatif_destroy(struct whatif *w);
/* NULL when the copy thinks about it now; else the reason why not, for the caller to free. */
char *whatif_question(struct whatif *w, const Mclag__Control__WhatIfRequest *request);

#endif
