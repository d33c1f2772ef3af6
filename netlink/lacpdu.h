/* SPDX-License-Identifier: ISC */
/*
 * lacpdu - the slow protocols of one port: frames in, frames out.
 *
 * An AF_PACKET socket for LACP and Marker (IEEE 802.1AX-2014 6.4.2.3 and 6.5.3.3: group address
 * 01:80:c2:00:00:02, EtherType 0x8809, subtypes 1 and 2). It works on a port of a bridge in every port state
 * and whether or not isolation.h holds the leg. It knows nothing inside the frames but the subtype. Rules for
 * callers, errors and `err` as in netlink/rtnetlink.h.
 */
#ifndef NETLINK_LACPDU_H
#define NETLINK_LACPDU_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LACPDU_MAX 1500 /* bytes behind the Ethernet header; an LACPDU has 110 */

struct lacpdu_socket;

struct lacpdu_handler {
	/* One frame: `payload` starts with the subtype; valid during the call. Its content is not checked. */
	void (*received)(struct lacpdu_handler *, const uint8_t source[6], const uint8_t *payload,
			 size_t length);
	/* The port went down (error -ENETDOWN) or is gone (-ENODEV): informs; a port that comes up works on.
	 */
	void (*down)(struct lacpdu_handler *, int error);
};

struct lacpdu_counters {
	uint64_t received, sent;
	uint64_t refused; /* longer than LACPDU_MAX; other subtypes never get here */
	uint64_t errors;  /* sends and receives the kernel refused */
};

/* Hear and speak on `ifindex`, with source address `mac`. Event priority NETLINK_PRIORITY_LINK. */
int lacpdu_open(struct lacpdu_socket **, struct event_base *, int ifindex, const uint8_t mac[6],
		struct lacpdu_handler *, char *err, size_t errlen);
void lacpdu_close(struct lacpdu_socket *);
void lacpdu_set_source(struct lacpdu_socket *, const uint8_t mac[6]); /* the port's address changed */

/* Send one frame, padded to the Ethernet minimum. -ENETDOWN while the port is down, -EMSGSIZE past
 * LACPDU_MAX. */
int lacpdu_send(struct lacpdu_socket *, const uint8_t *payload, size_t length);
struct lacpdu_counters lacpdu_counters(const struct lacpdu_socket *);

#endif
