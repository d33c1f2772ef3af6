/* SPDX-License-Identifier: ISC */
/*
 * A world for tests of the session: real TCP and TLS over loopback, with two peer links in one event loop
 * (`leaf`, an owner that writes down what happens) and `raw`, a client of our own making that does what no
 * peer link would. Every wait is for a condition with a deadline.
 *
 * Two promises of peerlink.h are checked in all tests at once: `opened` and `closed` come strictly in turns,
 * and no callback comes from inside a call of the owner (CALL marks these).
 *
 * world_keys and world_drop_keys go around a group of tests, world_set_up and world_tear_down around each.
 */
#ifndef TESTS_UNIT_SESSION_WORLD_H
#define TESTS_UNIT_SESSION_WORLD_H

#include "peerlink/peerlink.h"
#include "peerlink/tls.h"
#include "proto/frame.h"
#include <event2/event.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_MS    20000
#define GREETING_LIMIT 4000
#define FRAME_LIMIT    200000
#define GARBAGE        "GET / HTTP/1.1\r\nHost: leaf\r\n\r\n"

enum { PEER_LINK, MGMT, PATHS }; /* over IPv4 and IPv6, so that everything runs over both */

extern struct tls *tls_of[4]; /* 1 and 2: the leaves, knowing each other; 3: a stranger that knows leaf 2 */
extern struct event_base *base;
extern uint16_t port;

int world_keys(void **state);
int world_drop_keys(void **state);
int world_set_up(void **state);
int world_tear_down(void **state);

int64_t now_ms(void);

#define UNTIL(condition)                                                                                     \
	for (int64_t give_up = now_ms() + DEADLINE_MS; !(condition);) {                                      \
		if (now_ms() > give_up)                                                                      \
			fail_msg("not in time: %s", #condition);                                             \
		event_base_loop(base, EVLOOP_ONCE);                                                          \
	}

/* --- a leaf ---------------------------------------------------------------------------------- */

struct leaf {
	struct peerlink_owner owner;
	struct peerlink *p;
	bool calling;    /* inside a call of ours */
	bool up;         /* opened and not closed */
	bool accept_all; /* accept each session as it opens */
	const char *close_on_open, *close_on_frame;
	int use_on_closed; /* -2 = nothing */
	int opened, closed, writable, refused;
	enum peerlink_reason reason; /* of the last closed or refused */
	char text[700];
	char trace[4096]; /* "+0" opened on path 0, "-REASON" closed, small frames as they are */
	size_t frames, bytes;
	uint32_t next; /* expected number of the next numbered frame */
	int64_t refused_at[16];
};

#define CALL(leaf, call)                                                                                     \
	do {                                                                                                 \
		bool outer = (leaf)->calling;                                                                \
		(leaf)->calling = true;                                                                      \
		call;                                                                                        \
		(leaf)->calling = outer;                                                                     \
	} while (0)

void set_address(struct sockaddr_storage *address, const char *text);
void make_paths(struct path paths[PATHS], int node);

/* Times that are short where a test waits for them, and long where it must not meet them. */
struct peerlink_config default_config(const struct path *paths, int node);

void start(struct leaf *leaf, struct peerlink_config config);
void start_plain(struct leaf *leaf, int node); /* both paths, default_config */
void stop(struct leaf *leaf);
int send_text(struct leaf *leaf, const char *text);
void connect_both(struct leaf *one, struct leaf *two, int path);

/* --- a client of our own making -------------------------------------------------------------- */

struct raw {
	int fd;
	SSL *ssl;     /* NULL = plain TCP */
	size_t chunk; /* bytes per write */
	bool deaf;    /* does not read */
	bool gone;    /* the other end has closed */
};

struct raw raw_connect(const char *from);
struct raw raw_tls(const char *from, const struct tls *tls);
void raw_pump(struct raw *r);                                        /* do what can be done now */
void raw_bytes(const struct raw *r, const void *bytes, size_t size); /* plain, below TLS */
void raw_write(struct raw *r, const void *bytes, size_t size); /* inside TLS, as raw_pump gets to send them */
void raw_frame(struct raw *r, const char *payload);
void raw_close(struct raw *r);

#define PUMP_UNTIL(raw, condition) UNTIL((raw_pump(raw), (condition)))

#endif
