/* SPDX-License-Identifier: ISC */
/*
 * core/memory.h - the one place where the core allocates. Out of memory is fatal: the kernel keeps
 * forwarding, the service manager starts us again, and the resume file brings the state back.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stddef.h>

/* Zeroed. Freed by free(). */
void *core_new(size_t count, size_t size);
/* Makes room for at least `needed` items in *items (of `size` bytes each); *room is the present room, doubled
 * as needed. New memory is zeroed. */
void core_grow(void **items, size_t *room, size_t needed, size_t size);

#endif
