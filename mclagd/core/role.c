/* SPDX-License-Identifier: ISC */
#include "core/role.h"

/* -1, 0, 1 as a is better than, like, or worse than b */
static int prefer(bool a, bool b)
{
	return (int)b - (int)a;
}

static int lower(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

enum role role_elect(const struct hello *self, const struct hello *peer)
{
	int order = prefer(self->carrying, peer->carrying);

	if (!order)
		order = prefer(self->role == ROLE_PRIMARY, peer->role == ROLE_PRIMARY);
	if (!order) /* both were primary: the one that took over later knew more */
		order = -lower(self->epoch, peer->epoch);
	if (!order)
		order = lower(self->priority, peer->priority);
	if (!order)
		order = lower(self->node, peer->node);
	return order < 0 ? ROLE_PRIMARY : ROLE_SECONDARY;
}

uint64_t role_epoch(const struct hello *self, const struct hello *peer)
{
	bool changes = role_elect(self, peer) != self->role || role_elect(peer, self) != peer->role;
	uint64_t highest = self->epoch > peer->epoch ? self->epoch : peer->epoch;

	return highest + (changes ? 1 : 0);
}
