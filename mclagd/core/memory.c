/* SPDX-License-Identifier: ISC */
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *core_new(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p)
		abort();
	return p;
}

void core_grow(void **items, size_t *room, size_t needed, size_t size)
{
	size_t want = *room ? *room : 16;
	char *p;

	if (needed <= *room)
		return;
	while (want < needed)
		want *= 2;
	if (want > SIZE_MAX / size)
		abort();
	p = realloc(*items, want * size);
	if (!p)
		abort();
	memset(p + *room * size, 0, (want - *room) * size);
	*items = p;
	*room = want;
}
