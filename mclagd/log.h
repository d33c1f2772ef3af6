/* SPDX-License-Identifier: ISC */
/*
 * log.h - what the daemon says to its operator: one line per fact, with the room it comes from.
 *
 * To the journal with fields (ROOM=, MCLAG=), without ever waiting for it, else to stderr. Rooms never log;
 * only the shell does. Info = state changes and start/stop. Whatever somebody outside can trigger at will
 * goes through log_limited().
 */
#ifndef MCLAGD_LOG_H
#define MCLAGD_LOG_H

#include "mclagd/config.h"

struct log {
	enum config_log_level level;
	int journal;   /* socket; -1 = stderr */
	uint64_t lost; /* lines that the journal did not take, since one that it took */
};

/* How many lines of one kind may still be written: 10 at once, then one per second. Zeroed at first. */
struct log_limit {
	struct msec refilled;
	int spent;
	uint64_t suppressed; /* since the last line that was written */
};

/* CONFIG_LOG_AUTO: the journal when stderr is connected to it (JOURNAL_STREAM), else stderr. */
void log_open(struct log *l, enum config_log_level level, enum config_log_target target);
void log_close(struct log *l);

/* room: the token, such as "session". mclag 0 = about none. */
void log_write(struct log *l, enum config_log_level level, const char *room, uint16_t mclag,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));
void log_limited(struct log *l, struct log_limit *limit, struct msec now, enum config_log_level level,
		 const char *room, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The arithmetic of the above: may one more line be written now? */
bool log_allowed(struct log_limit *limit, struct msec now);

#endif
