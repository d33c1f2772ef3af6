/* SPDX-License-Identifier: ISC */
/*
 * netlab - a private piece of the real kernel for the tests of netlink/.
 *
 * Each test gets a new network namespace of its own (unshare), which goes with the process; nothing is left
 * over.
 *
 *   bridge br0: ports p1 p2 (legs), o1 o2 (orphans), pl (peer link)
 *   far ends:         h1 h2        q1 q2            far
 *
 * The process is pinned to one CPU: veth then delivers in the order of sending, so a marker that has arrived
 * proves that whatever was sent before it has arrived too, or never will.
 */
#ifndef NETLAB_H
#define NETLAB_H

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LAB_DEADLINE_MS 10000
#define LAB_FRAMES      256

/* cmocka setup and teardown: namespace and event base; the state is the base. Not root: every test is
 * skipped. */
int lab_setup(void **state);
int lab_teardown(void **state);
void lab_require_root(void);

/* The bridge and its ports, all up and forwarding. */
void lab_bridge(void);

/* Run a shell command line that must succeed; lab_try tells whether it did. */
void lab_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool lab_try(const char *format, ...) __attribute__((format(printf, 1, 2)));
int lab_index(const char *ifname);
void lab_mac(const char *ifname, uint8_t mac[6]);

/* Milliseconds of a clock that only goes forward; one turn of the loop. */
uint64_t lab_now(void);
void lab_turn(struct event_base *);

/* Wait for a condition, running the loop; `base` may be NULL. */
#define lab_until(base, condition)                                                                           \
	do {                                                                                                 \
		uint64_t end_ = lab_now() + LAB_DEADLINE_MS;                                                 \
		while (!(condition)) {                                                                       \
			if (lab_now() > end_)                                                                \
				fail_msg("not within %d ms: %s", LAB_DEADLINE_MS, #condition);               \
			lab_turn(base);                                                                      \
		}                                                                                            \
	} while (0)

/* A far end: sends and counts frames of EtherType 0x88b5, which carry one byte, their number. */
struct lab_port {
	int fd;
	uint8_t mac[6];
	unsigned seen[LAB_FRAMES];
};

void lab_port_open(struct lab_port *, const char *ifname);
void lab_port_open_for(struct lab_port *, const char *ifname, uint16_t ethertype);
void lab_port_close(struct lab_port *);
void lab_send(struct lab_port *, const uint8_t to[6], uint8_t number);
void lab_send_raw(struct lab_port *, const void *frame, size_t length);
unsigned lab_seen(struct lab_port *, uint8_t number); /* how many of them have come so far */
unsigned lab_seen_at(struct lab_port *, uint8_t number,
		     size_t offset); /* where the number stands in the frame */

/* Another process, on another CPU, sends the frame over and over to everybody; stopping tells how often. */
struct lab_stream;
struct lab_stream *lab_stream_start(const struct lab_port *, uint8_t number);
unsigned lab_stream_stop(struct lab_stream *);

extern const uint8_t lab_broadcast[6];

#endif
