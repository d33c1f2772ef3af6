/* SPDX-License-Identifier: ISC */
/*
 * journal_record.h - the records of a journal (proto/journal.proto) to bytes and back. Pure: no file, no clock.
 *
 * journal_get() is a border: a journal comes from anywhere. What it lets through is what a running daemon
 * could have written, so the core may be fed with it: enums are known, numbers in range, addresses of the kind
 * they must be, messages and LACPDUs as their own decoders accept them.
 */
#ifndef MCLAGD_JOURNAL_RECORD_H
#define MCLAGD_JOURNAL_RECORD_H

#include "core/domain.h"

#define JOURNAL_MAGIC        "mclagjnl"
#define JOURNAL_MAGIC_SIZE   8
#define JOURNAL_FORMAT       1
#define JOURNAL_RECORD_MAX   (1024 * 1024) /* bytes behind the length */
#define JOURNAL_TRACES_MAX   4096          /* lines of one step that are kept */
#define JOURNAL_VERSION_SIZE 32
#define JOURNAL_WHY_SIZE     256

#define JOURNAL_ENDS(X)                                                                                      \
	X(JOURNAL_STOPPED, "stopped", "the daemon ended")                                                    \
	X(JOURNAL_FULL, "full", "the journal has reached its bound")
TYPES_DECLARE(journal_end, JOURNAL_ENDS, JOURNAL_END_COUNT)

struct journal_head {
	char version[JOURNAL_VERSION_SIZE]; /* of the program that wrote it */
	int64_t wall_us;
	struct domain_config config;
	struct mclag_config *mclags; /* owned, config.mclags of a head that was read; else unused */
	bool resumes;
	struct resume resume; /* when it resumes; legs: owned by a head that was read */
	bool foreign;         /* the configuration has more in it than this version knows */
};

/* What came of an event. */
struct journal_outcome {
	size_t trace_count; /* all of them; the first JOURNAL_TRACES_MAX are in traces */
	size_t kept;
	struct trace *traces; /* owned */
	size_t action_count;
	uint64_t action_digest;
};

enum journal_kind { JOURNAL_HEAD, JOURNAL_EVENT, JOURNAL_OUTCOME, JOURNAL_END };

struct journal_record {
	enum journal_kind kind;
	union {
		struct journal_head head;
		struct {
			uint64_t after_ms;
			struct event event;
			struct message message; /* of EVENT_MESSAGE: owned; see journal_record_event() */
		} event;
		struct journal_outcome outcome;
		enum journal_end end;
	};
};

/* Bytes to be written, growing. Zeroed at first; freed by journal_bytes_free(). */
struct journal_bytes {
	uint8_t *data;
	size_t size, room;
};

void journal_bytes_free(struct journal_bytes *b);

/* Each appends one record with its length in front. The magic is put before the head. */
void journal_put_head(struct journal_bytes *b, const struct journal_head *h);
void journal_put_event(struct journal_bytes *b, uint64_t after_ms, const struct event *e);
/* Nothing when the step has neither traces nor actions. */
void journal_put_outcome(struct journal_bytes *b, const struct step *s);
void journal_put_end(struct journal_bytes *b, enum journal_end end);

/* Sums up a step's actions; 0 when there are none. */
uint64_t journal_action_digest(const struct step *s);
/* Sums up a configuration as it is written. */
uint64_t journal_config_digest(const struct domain_config *c);

/* bytes: behind the length. paths: how many the configuration has, at least 1. 0, the record to be given to
 * journal_record_clear(); or -EBADMSG with the reason in why; -ENOTSUP when it is of a format or of a kind
 * that this version does not know. *r untouched then. */
int journal_get(const uint8_t *bytes, size_t size, size_t paths, struct journal_record *r,
		char why[static JOURNAL_WHY_SIZE]);
void journal_record_clear(struct journal_record *r);
/* The event of a JOURNAL_EVENT, which it borrows. */
struct event journal_record_event(const struct journal_record *r);

#endif
