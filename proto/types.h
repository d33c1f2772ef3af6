/* SPDX-License-Identifier: ISC */
/*
 * proto/types.h - the value types both leaves, the core and the CLI speak of.
 *
 * Small structs passed by value, and enums listed once in an X-macro table from which the names on the
 * wire, in the log, in JSON and in the CLI all come. Knows nobody; no allocation, no I/O.
 *
 * Longer than a header should be: the lists are the vocabulary of the program and want to be read in one
 * place.
 */
#ifndef PROTO_TYPES_H
#define PROTO_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A moment on the local monotonic clock, in milliseconds. Never wall time, never a duration. */
struct msec {
	int64_t ms;
};

#define MSEC_NEVER ((struct msec){INT64_MAX})

static inline struct msec msec_after(struct msec t, int64_t ms)
{
	return t.ms >= INT64_MAX - ms ? MSEC_NEVER : (struct msec){t.ms + ms};
}

static inline int64_t msec_since(struct msec now, struct msec then)
{
	return now.ms - then.ms;
}

static inline bool msec_reached(struct msec now, struct msec t)
{
	return now.ms >= t.ms;
}

static inline bool msec_is_never(struct msec t)
{
	return t.ms == INT64_MAX;
}

static inline struct msec msec_min(struct msec a, struct msec b)
{
	return a.ms < b.ms ? a : b;
}

/* An EUI-48 address in transmission order. */
struct mac {
	uint8_t byte[6];
};

#define MAC_TEXT_SIZE 18

bool mac_equal(struct mac a, struct mac b);
bool mac_is_zero(struct mac m);
bool mac_is_multicast(struct mac m); /* group bit set: broadcast too */
int mac_compare(struct mac a, struct mac b);
uint64_t mac_to_u64(struct mac m); /* in the low 48 bits, first octet highest */
struct mac mac_from_u64(uint64_t v);
/* "02:00:00:00:00:aa"; returns buf. */
char *mac_format(struct mac m, char buf[static MAC_TEXT_SIZE]);
/* Accepts six two-digit groups separated by ':' or all by '-'. 0 or -EINVAL, *m untouched then. */
int mac_parse(const char *text, struct mac *m);

/* Number of a domain, 1..4095. */
#define DOMAIN_MAX 4095

/* 802.1Q VLAN id; 0 = the bridge does not tell VLANs apart. */
#define VLAN_MAX 4094

/* mclag id, 1..65535; 0 where a port that is no leg is meant. */
#define MCLAG_MAX 65535

/* The half of the port number space that node 2 uses (design: disjoint halves). */
#define LACP_PORT_HALF 0x8000u

/* --- enums: X(CONSTANT, "name on the wire, in the log and in the CLI", what it means) ------------- */

#define ROLES(X)                                                                                             \
	X(ROLE_NONE, "none", "not settled yet")                                                              \
	X(ROLE_PRIMARY, "primary", "keeps its legs when the peer link is gone")                              \
	X(ROLE_SECONDARY, "secondary", "holds its legs when the peer link is gone")

#define SESSION_STATES(X)                                                                                    \
	X(SESSION_DOWN, "down", "no path to the peer")                                                       \
	X(SESSION_CONNECTING, "connecting", "a path is alive, no TLS conversation yet")                      \
	X(SESSION_GREETING, "greeting", "TLS is up, Hello sent, none accepted yet")                          \
	X(SESSION_SYNCING, "syncing", "Hello accepted, tables are being exchanged")                          \
	X(SESSION_UP, "up", "both tables are equal on both leaves")

#define VERDICTS(X)                                                                                          \
	X(VERDICT_UNKNOWN, "unknown", "the peer was never heard since start")                                \
	X(VERDICT_ALIVE, "alive", "the peer is heard on at least one path")                                  \
	X(VERDICT_RESTARTING, "restarting", "the peer said it restarts; its dataplane is frozen as it was")  \
	X(VERDICT_SILENT, "silent", "all paths fell at once, carrier stays: daemon or kernel dead")          \
	X(VERDICT_GONE, "gone", "a goodbye, or all paths and the carrier fell at once: the leaf is dead")    \
	X(VERDICT_SPLIT, "split", "paths fell one after another: the peer may well be alive")                \
	X(VERDICT_ALONE, "alone", "the peer was never heard and the alone timer passed")

/* Why a leg is not forwarding. Order = bit number in a hold set. */
#define HOLDS(X)                                                                                             \
	X(HOLD_CARRIER, "carrier", "the port has no carrier")                                                \
	X(HOLD_PARTNER, "partner", "no LACP partner is ready to aggregate")                                  \
	X(HOLD_BOOT, "boot", "the peer has not been heard yet; opens with a session or alone")               \
	X(HOLD_SYNC, "sync", "the session is not up: tables are not known to be equal")                      \
	X(HOLD_GRANT, "grant", "the peer has not confirmed isolation towards this leg")                      \
	X(HOLD_PEER_LINK, "peer_link", "secondary without peer link while the peer's leg forwards")          \
	X(HOLD_DATAPLANE, "dataplane", "the kernel refused a write for this leg")                            \
	X(HOLD_STOPPING, "stopping", "the daemon has said goodbye and gives its legs up")

#define LEG_PHASES(X)                                                                                        \
	X(LEG_HELD, "held", "not forwarding; the holds say why")                                             \
	X(LEG_REQUESTING, "requesting", "LegRequest sent, waiting for the grant")                            \
	X(LEG_OPENING, "opening", "granted; the dataplane is being told")                                    \
	X(LEG_FORWARDING, "forwarding", "carries data")                                                      \
	X(LEG_LEAVING, "leaving", "out of sync was announced, the host has not left yet; still carries data")

#define SPEAKERS(X)                                                                                          \
	X(SPEAKER_ENGINE, "engine", "mclagd speaks LACP itself on the port")                                 \
	X(SPEAKER_STATIC, "static", "no protocol: the leg follows carrier and grant")

#define SPLIT_POLICIES(X)                                                                                    \
	X(SPLIT_ARBITRATE, "arbitrate", "the secondary uses its own system id: the hosts choose")            \
	X(SPLIT_STAY, "stay", "the secondary stays as it is")

/* Where an entry's owner is attached, seen from one leaf. */
#define PLACE_KINDS(X)                                                                                       \
	X(PLACE_NONE, "none", "nowhere")                                                                     \
	X(PLACE_LEG, "leg", "behind the leg of an mclag")                                                    \
	X(PLACE_ORPHAN, "orphan", "behind a port of this leaf only")                                         \
	X(PLACE_PEER_LINK, "peer_link", "behind the peer link")

/* Why a session ended, a Hello was refused, a role changed or a node says goodbye. One list for all. */
#define REASONS(X)                                                                                           \
	X(REASON_NONE, "none", "")                                                                           \
	X(REASON_START, "start", "the daemon started")                                                       \
	X(REASON_RESUME, "resume", "the daemon restarted and resumed what it was doing")                     \
	X(REASON_SHUTDOWN, "shutdown", "the node leaves and holds its legs")                                 \
	X(REASON_RESTART, "restart", "the daemon restarts, the dataplane stays as it is")                    \
	X(REASON_ELECTION, "election", "both nodes compared carrying, role, epoch, priority, node number")   \
	X(REASON_PEER_GONE, "peer_gone", "the peer is dead")                                                 \
	X(REASON_PEER_SILENT, "peer_silent", "the peer's daemon is dead, its dataplane may live")            \
	X(REASON_PEER_ALONE, "peer_alone", "the peer never appeared")                                        \
	X(REASON_SPLIT, "split", "contact lost without proof of death")                                      \
	X(REASON_PATH_LOST, "path_lost", "keepalives stopped on the path")                                   \
	X(REASON_TRANSPORT, "transport", "the TCP or TLS connection broke")                                  \
	X(REASON_REPLACED, "replaced", "the peer opened a newer session")                                    \
	X(REASON_TIMEOUT, "timeout", "nothing was received in time")                                         \
	X(REASON_VIOLATION, "violation", "a message broke the protocol")                                     \
	X(REASON_VERSION, "version", "no common protocol version")                                           \
	X(REASON_DOMAIN, "domain", "the peer belongs to another domain")                                     \
	X(REASON_NODE, "node", "both nodes have the same node number")                                       \
	X(REASON_SYSTEM_ID, "system_id", "system MAC or system priority differ")                             \
	X(REASON_CARRIER, "carrier", "the carrier was lost")                                                 \
	X(REASON_LACP, "lacp", "the LACP partner is lost")                                                   \
	X(REASON_GRANTED, "granted", "the peer granted the leg")                                             \
	X(REASON_NO_PEER, "no_peer", "nobody has to grant the leg")                                          \
	X(REASON_REFUSED, "refused", "the peer could not grant the leg")                                     \
	X(REASON_DATAPLANE, "dataplane", "the kernel refused")                                               \
	X(REASON_PEER_LINK, "peer_link", "the peer link is lost")                                            \
	X(REASON_HOST_LEFT, "host_left", "the host stopped using the leg")                                   \
	X(REASON_PROOF, "proof", "every condition for opening is met")                                       \
	X(REASON_PROOF_LOST, "proof_lost", "a condition for opening is met no longer")

/* NOLINTBEGIN(bugprone-macro-parentheses): a tag stands where no expression can. */

/* Declares enum TAG with COUNT as its last member, TAG_name(v) and TAG_parse(text, &v) (0 or -EINVAL). */
#define TYPES_MEMBER(constant, name, help) constant,
#define TYPES_DECLARE(tag, LIST, count)                                                                      \
	enum tag { LIST(TYPES_MEMBER) count };                                                               \
	const char *tag##_name(enum tag v); /* "?" for a value out of range */                               \
	const char *tag##_help(enum tag v);                                                                  \
	int tag##_parse(const char *text, enum tag *v);

/* Defines what TYPES_DECLARE declares; once, in the .c file of the header that declares. */
#define TYPES_NAME(constant, name, help) [constant] = (name),
#define TYPES_HELP(constant, name, help) [constant] = (help),
#define TYPES_DEFINE(tag, LIST, count)                                                                       \
	static const char *const tag##_names[] = {LIST(TYPES_NAME)};                                         \
	const char *tag##_name(enum tag v)                                                                   \
	{                                                                                                    \
		return (unsigned)v < (count) ? tag##_names[v] : "?";                                         \
	}                                                                                                    \
	const char *tag##_help(enum tag v)                                                                   \
	{                                                                                                    \
		static const char *const helps[] = {LIST(TYPES_HELP)};                                       \
		return (unsigned)v < (count) ? helps[v] : "?";                                               \
	}                                                                                                    \
	int tag##_parse(const char *text, enum tag *v)                                                       \
	{                                                                                                    \
		int found = types_find(text, tag##_names, (count));                                          \
		if (found < 0)                                                                               \
			return found;                                                                        \
		*v = (enum tag)found;                                                                        \
		return 0;                                                                                    \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

/* The index of text in names, or -EINVAL; for TYPES_DEFINE. */
int types_find(const char *text, const char *const names[], size_t count);

TYPES_DECLARE(role, ROLES, ROLE_COUNT)
TYPES_DECLARE(session_state, SESSION_STATES, SESSION_STATE_COUNT)
TYPES_DECLARE(verdict, VERDICTS, VERDICT_COUNT)
TYPES_DECLARE(hold, HOLDS, HOLD_COUNT)
TYPES_DECLARE(leg_phase, LEG_PHASES, LEG_PHASE_COUNT)
TYPES_DECLARE(speaker, SPEAKERS, SPEAKER_COUNT)
TYPES_DECLARE(split_policy, SPLIT_POLICIES, SPLIT_POLICY_COUNT)
TYPES_DECLARE(place_kind, PLACE_KINDS, PLACE_KIND_COUNT)
TYPES_DECLARE(reason, REASONS, REASON_COUNT)

/* A set of holds, one bit per enum hold. Empty = nothing keeps the leg closed. */
typedef uint32_t hold_set;
#define HOLD_BIT(h) (1u << (h))

/* "carrier,partner" or "-"; cut when buf is too small; returns buf. */
char *hold_set_format(hold_set set, char *buf, size_t size);

/* A port as the core names it: the leg of an mclag, an orphan port (by the switch's own number), or the peer
 * link. */
struct place {
	enum place_kind kind;
	uint16_t mclag; /* PLACE_LEG only */
	int32_t port;   /* PLACE_ORPHAN only: the switch's number for the port, opaque to the core */
};

/* --- LACP values (IEEE 802.1AX-2020 6.4.2.3) ------------------------------------------------------- */

enum {
	LACP_ACTIVITY = 0x01,
	LACP_TIMEOUT = 0x02, /* set = short timeout: the partner shall send every second */
	LACP_AGGREGATION = 0x04,
	LACP_SYNC = 0x08,
	LACP_COLLECTING = 0x10,
	LACP_DISTRIBUTING = 0x20,
	LACP_DEFAULTED = 0x40,
	LACP_EXPIRED = 0x80,
};

/* One end of a link as an LACPDU describes it. Host byte order. */
struct lacp_info {
	uint16_t system_priority;
	struct mac system;
	uint16_t key;
	uint16_t port_priority;
	uint16_t port;
	uint8_t state; /* LACP_* bits */
};

#define LACP_STATE_TEXT_SIZE 72
/* "active,short,aggregation,sync,collecting,distributing" or "-"; returns buf. */
char *lacp_state_format(uint8_t state, char buf[static LACP_STATE_TEXT_SIZE]);

#endif
