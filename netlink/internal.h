/* SPDX-License-Identifier: ISC */
/*
 * internal - what the files of this room share and nobody else needs.
 */
#ifndef NETLINK_INTERNAL_H
#define NETLINK_INTERNAL_H

#include <stddef.h>
#include <stdlib.h>

/* The object that embeds `member`, given a pointer to the member: how a callback finds its owner. */
#define OWNER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Zeroed memory. Out of memory is fatal: a daemon that cannot keep its tables must be started anew. */
static inline void *zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

/* A libnl call that can fail only for want of memory, or because our own message is too small: our bug. */
static inline void must(int failed)
{
	if (failed)
		abort();
}

#endif
