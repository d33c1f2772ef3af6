/* SPDX-License-Identifier: ISC */
/*
 * core/step.h - the narrow waist of mclagd. READ FIRST.
 *
 * The core is a pure function over its own state: an event comes in, actions and trace lines come out.
 * It reads no clock (step.now says what time it is), opens no file, calls nobody back, and cannot fail.
 * Actions are data, performed by the shell in order after domain_step() has returned; one that fails comes
 * back as an event. The same sequence of (now, event) always gives the same actions and trace.
 *
 * Ownership: an event is borrowed for the call. Actions and trace lines belong to the step, until
 * step_clear(). Out of memory is fatal.
 */
#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/lacpdu.h"
#include "proto/message.h"
#include "proto/types.h"

#define PATH_PEER_LINK 0 /* index of the path over the peer link; backup paths follow */
#define PATH_MAX_COUNT 4
#define PATH_NONE      (-1)

/* --- events: what happened ------------------------------------------------------------------------- */

#define EVENTS(X)                                                                                            \
	X(EVENT_START, "start", "the shell is ready to perform actions; sent once, first")                   \
	X(EVENT_TIMER, "timer", "domain_deadline() was reached")                                             \
	X(EVENT_LINK, "link", "a leg or the peer link: carrier, speed")                                      \
	X(EVENT_HEARD, "heard", "an authentic, fresh keepalive arrived on a path")                           \
	X(EVENT_CONFLICT, "conflict", "an authentic keepalive with our own node number arrived")             \
	X(EVENT_SESSION_OPENED, "session_opened", "TLS is up with the authenticated peer")                   \
	X(EVENT_SESSION_CLOSED, "session_closed", "the transport of the session is gone")                    \
	X(EVENT_MESSAGE, "message", "a decoded message from the peer")                                       \
	X(EVENT_VIOLATION, "violation", "the peer sent bytes that are no valid message")                     \
	X(EVENT_ROOM, "room", "bytes that the session's transport takes now")                                \
	X(EVENT_LACPDU, "lacpdu", "a decoded LACPDU arrived on a leg")                                       \
	X(EVENT_ENTRY, "entry", "the switch saw, lost or aged a MAC")                                        \
	X(EVENT_DUMP_BEGIN, "dump_begin", "a full dump of the switch's table follows")                       \
	X(EVENT_DUMP_END, "dump_end", "the dump is complete; what it did not mention is not there")          \
	X(EVENT_DONE, "done", "the switch answered a forward or isolate action")                             \
	X(EVENT_PROGRAM_FAILED, "program_failed", "the switch refused an entry")                             \
	X(EVENT_STOP, "stop", "the daemon is told to end: say goodbye")
TYPES_DECLARE(event_kind, EVENTS, EVENT_KIND_COUNT)

struct link_event {
	struct place port; /* PLACE_LEG or PLACE_PEER_LINK */
	bool carrier;
	uint32_t speed; /* Mbit/s, 0 = unknown */
};

struct heard_event {
	int path;
	uint64_t boot_id;
	bool hears_us;   /* the peer lately heard us on this path */
	int64_t echo_ms; /* how long ago we sent what it echoes, rounded up: the peer lived after that */
	struct beacon beacon;
};

/* What the switch says of one MAC. */
#define SIGHTINGS(X)                                                                                         \
	X(SIGHTING_LEARNED, "learned", "the switch learned it by itself: dynamic, would age and be flushed") \
	X(SIGHTING_ACTIVE, "active", "an entry of ours: its owner sends")                                    \
	X(SIGHTING_INACTIVE, "inactive", "an entry of ours: its owner was quiet for one ageing time")        \
	X(SIGHTING_FIXED, "fixed", "an operator's static entry")                                             \
	X(SIGHTING_PRESENT, "present", "an entry of ours without activity (on the peer link)")               \
	X(SIGHTING_GONE, "gone", "deleted, aged or flushed")
TYPES_DECLARE(sighting, SIGHTINGS, SIGHTING_COUNT)

struct entry_event {
	struct mac mac;
	uint16_t vlan;
	struct place place; /* leg, orphan or peer link */
	enum sighting sighting;
};

struct done_event {
	struct place port; /* of the action */
	bool isolate;      /* answers ACTION_ISOLATE, else ACTION_FORWARD */
	bool on;           /* as asked */
	bool ok;
};

struct event {
	enum event_kind kind;
	union {
		struct link_event link;
		struct heard_event heard;
		int path;           /* SESSION_OPENED: over which */
		enum reason reason; /* SESSION_CLOSED; STOP: REASON_SHUTDOWN or REASON_RESTART */
		const struct message *message;
		size_t room;
		struct {
			uint16_t mclag;
			struct lacpdu pdu;
		} lacpdu;
		struct entry_event entry; /* ENTRY; PROGRAM_FAILED: what was asked */
		struct done_event done;
	};
};

/* --- actions: what to do --------------------------------------------------------------------------- */

#define ACTIONS(X)                                                                                           \
	X(ACTION_SEND, "send", "a message over the session")                                                 \
	X(ACTION_USE_PATH, "use_path", "reach the peer over this path from now on (or PATH_NONE)")           \
	X(ACTION_ACCEPT, "accept", "the peer's Hello is good: lift the limits for strangers")                \
	X(ACTION_CLOSE, "close", "end the session, after what was sent, with a reason")                      \
	X(ACTION_STOPPED, "stopped", "goodbye is said and nothing is left to do: the daemon may end")        \
	X(ACTION_PROBE, "probe", "ask for a keepalive at once on a path")                                    \
	X(ACTION_BEACON, "beacon", "what our keepalives say from now on")                                    \
	X(ACTION_LACPDU, "lacpdu", "an LACPDU out of a leg")                                                 \
	X(ACTION_FORWARD, "forward", "a leg or the peer link may (not) carry data; answered by done")        \
	X(ACTION_ISOLATE, "isolate", "frames from the peer link may (not) leave by a leg; answered by done") \
	X(ACTION_PROGRAM, "program", "set an entry in the switch's table")                                   \
	X(ACTION_UNPROGRAM, "unprogram", "take an entry out of it")                                          \
	X(ACTION_SAVE, "save", "what domain_resume_state() says has changed: keep it for a restart")
TYPES_DECLARE(action_kind, ACTIONS, ACTION_KIND_COUNT)

struct program_action {
	struct mac mac;
	uint16_t vlan;
	/* Leg, peer link: static with activity notification. Orphan: dynamic (hands an entry
	 * of ours that moved there back to the switch). */
	struct place place;
	bool active; /* leg, peer link: start as active, else as inactive */
};

struct action {
	enum action_kind kind;
	union {
		struct message message; /* SEND: owned */
		int path;               /* USE_PATH, PROBE */
		enum reason reason;     /* CLOSE */
		struct beacon beacon;
		struct {
			uint16_t mclag;
			struct lacpdu pdu;
		} lacpdu;
		struct {
			struct place port;
			bool on;
		} gate; /* FORWARD, ISOLATE */
		struct program_action program;
	};
};

/* --- trace: why ------------------------------------------------------------------------------------ */

#define TRACE_ROOMS(X)                                                                                       \
	X(TRACE_DOMAIN, "domain", "")                                                                        \
	X(TRACE_LIVENESS, "liveness", "")                                                                    \
	X(TRACE_SESSION, "session", "")                                                                      \
	X(TRACE_ROLE, "role", "")                                                                            \
	X(TRACE_MCLAG, "mclag", "")                                                                          \
	X(TRACE_LACP, "lacp", "")                                                                            \
	X(TRACE_REPLICA, "replica", "")
TYPES_DECLARE(trace_room, TRACE_ROOMS, TRACE_ROOM_COUNT)

/* INFO = an operator's event (state changes), shown by `mclagctl events`; WARN = one that wants a look;
 * DEBUG = decisions inside. */
#define TRACE_LEVELS(X) X(TRACE_DEBUG, "debug", "") X(TRACE_INFO, "info", "") X(TRACE_WARN, "warn", "")
TYPES_DECLARE(trace_level, TRACE_LEVELS, TRACE_LEVEL_COUNT)

#define TRACE_TEXT_SIZE 200

struct trace {
	enum trace_room room;
	enum trace_level level;
	uint16_t mclag;             /* which one it is about, 0 = none */
	char text[TRACE_TEXT_SIZE]; /* "cause -> decision" */
};

struct step {
	struct msec now;
	struct action *actions;
	size_t action_count, action_room;
	struct trace *traces;
	size_t trace_count, trace_room;
};

/* Forgets actions and traces, keeps the buffers. */
void step_clear(struct step *s);
/* Frees the buffers too. */
void step_release(struct step *s);

/* For the machines: append. The result is zeroed but for kind, valid until the next append. */
struct action *step_action(struct step *s, enum action_kind kind);
/* Takes over m's allocations. */
void step_send(struct step *s, const struct message *m);
void step_gate(struct step *s, enum action_kind kind, struct place port, bool on);
void step_trace(struct step *s, enum trace_room room, enum trace_level level, uint16_t mclag,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
