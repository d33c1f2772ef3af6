/* SPDX-License-Identifier: ISC */
/*
 * lock.h - one mclagd per network namespace. The nftables table and the bridge's ports belong to whoever runs
 * there: a second daemon, with a state directory and a control socket of its own, would close every leg that
 * the first one holds open.
 */
#ifndef MCLAGD_LOCK_H
#define MCLAGD_LOCK_H

#include <stddef.h>

/* 0 with *lock to be given to lock_release(), -EADDRINUSE when another mclagd has it, or -errno; why tells
 * what to do. */
int lock_take(int *lock, char *why, size_t size);
/* Takes -1. The kernel does the same when the process ends, however it ends. */
void lock_release(int lock);

#endif
