/* SPDX-License-Identifier: ISC */
/*
 * control_samples.h - answers of mclagd made by hand, for the goldens of mclagctl. Released by free_unpacked.
 */
#ifndef CONTROL_SAMPLES_H
#define CONTROL_SAMPLES_H

#include "proto/control.pb-c.h"

#include <stdbool.h>

/* A pair in order; one path and one leg lost; nobody forwards, and the peer was never heard. */
Mclag__Control__Status *sample_status(Mclag__Control__Health health);
/* An LACP leg in order, one that is held, a static one whose peer is not known. */
Mclag__Control__Ports *sample_ports(void);
Mclag__Control__Mac *sample_mac(void);
/* Also a text as long as they get, and one with an escape sequence in it. */
Mclag__Control__Events *sample_events(void);
Mclag__Control__Counters *sample_counters(void);
/* A leg lost, felt; and the last one, which cuts a host and an orphan. */
Mclag__Control__WhatIf *sample_what_if(bool cut);

#endif
