/* SPDX-License-Identifier: ISC */
/*
 * service.h - what the service manager wants to hear: sd_notify(3)'s protocol, without its waiting. A service
 * manager that is stuck must not stop a keepalive, so nothing here blocks.
 */
#ifndef MCLAGD_SERVICE_H
#define MCLAGD_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

/* "READY=1" and the like. True when it was taken, or nobody asked for it (no NOTIFY_SOCKET); false: try
 * again. */
bool service_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often "WATCHDOG=1" is wanted at least, in milliseconds; 0 = not at all. */
int64_t service_watchdog_ms(void);

#endif
