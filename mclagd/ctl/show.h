/* SPDX-License-Identifier: ISC */
/*
 * ctl/show.h - the text views. What is absent in a message is shown as not known; nothing is computed here,
 * so that text and JSON never say different things.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include "ctl/table.h"
#include "proto/control.pb-c.h"

#include <stdint.h>

#define AGE_TEXT_SIZE 24

/* "340 ms", "12 s", "5m 3s", "2h 13m", "3d 4h"; "never" below 0. Returns text. */
char *age_format(int64_t ms, char text[static AGE_TEXT_SIZE]);

void show_status(const struct sheet *sheet, const Mclag__Control__Status *status);
void show_ports(const struct sheet *sheet, const Mclag__Control__Ports *ports);
/* Sorts the entries by VLAN and address. */
void show_mac(const struct sheet *sheet, Mclag__Control__Mac *mac);
/* The title line is the caller's, once: show_events_title(). Times are local. */
void show_events_title(const struct sheet *sheet);
void show_events(const struct sheet *sheet, const Mclag__Control__Events *events);
void show_counters(const struct sheet *sheet, const Mclag__Control__Counters *counters);
void show_whatif(const struct sheet *sheet, const Mclag__Control__WhatIf *whatif);
/* A blank line, the title, and a line for each text, all of them when there is any. */
void show_list(const struct sheet *sheet, enum tone tone, const char *title, char *const *lines,
	       size_t count);

#endif
