/* SPDX-License-Identifier: ISC */
/*
 * control_rig.h - a control socket with everything it answers from, and clients of it, in one thread. The
 * clock of the event loop is the rig's: it stands still but for rig_pass().
 */
#ifndef CONTROL_RIG_H
#define CONTROL_RIG_H

#include "mclagd/daemon.h"
#include "proto/control.pb-c.h"
#include "proto/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_LINES 1024 /* of the ring */

/* One leaf, node 1 of domain 1, with mclag 1 (engine, swp1, carrier) and 7 (static, swp7, none), for 5
 * seconds. */
struct rig;

struct rig *rig_create(void);
void rig_destroy(struct rig *rig);
struct event_base *rig_base(struct rig *rig);
struct daemon *rig_daemon(struct rig *rig);
const char *rig_socket(const struct rig *rig);
const char *rig_directory(const struct rig *rig);
/* Lets the loop do all there is to do now. */
void rig_turn(struct rig *rig);
void rig_pass(struct rig *rig, int seconds);
/* The MACs 02:00:01 first..end-1 come or go, behind an orphan port ("lo") or a leg. */
void rig_learn(struct rig *rig, uint32_t first, uint32_t end, uint16_t vlan);
void rig_forget(struct rig *rig, uint32_t first, uint32_t end, uint16_t vlan);
void rig_learn_on_leg(struct rig *rig, uint32_t number, uint16_t mclag);
/* A line of the ring. */
void rig_say(struct rig *rig, enum trace_level level, const char *text);
/* The counters of the control socket itself. Asks through it. */
Mclag__Control__ControlCounters rig_control(struct rig *rig);
/* Bytes allocated in this process. */
size_t rig_memory(void);

/* --- a client ---------------------------------------------------------------------------------------- */

struct caller {
	struct rig *rig;
	int fd;
	uint8_t *bytes; /* received, not taken yet */
	size_t size;
	bool ended;
};

struct caller caller_open(struct rig *rig);
void caller_close(struct caller *c);
void caller_shut(struct caller *c); /* will send no more */
void caller_send(struct caller *c, const void *bytes, size_t size);
void caller_ask_status(struct caller *c);
void caller_ask_ports(struct caller *c, uint32_t id);
void caller_ask_counters(struct caller *c);
void caller_ask_whatif(struct caller *c, const char *question, uint32_t id);
void caller_ask_mac(struct caller *c, uint32_t vlan, const char *mac, uint32_t mclag);
void caller_ask_events(struct caller *c, uint64_t since, bool follow, bool debug);
/* The next Response, while the loop turns; NULL at the end of the stream. Fails the test after seconds. */
Mclag__Control__Response *caller_receive(struct caller *c);
/* The next Response, of that kind. */
Mclag__Control__Response *caller_expect(struct caller *c, Mclag__Control__Response__AnswerCase kind);
void caller_expect_error(struct caller *c, const char *text);
void caller_expect_end(struct caller *c);

#endif
