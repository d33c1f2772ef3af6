/* SPDX-License-Identifier: ISC */
/*
 * A path to the peer, as sockets see it: which interface, which addresses, which port, and whether the peer
 * is directly attached. Plain values: copy freely, nothing is owned.
 *
 * Both leaves name their paths by index, and must list them in the same order (the peer link is 0): the index
 * is part of every keepalive, so that a datagram caught on one path proves nothing on another.
 */
#ifndef PEERLINK_PATH_H
#define PEERLINK_PATH_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PATH_NONE         (-1)
#define PATH_MAX_COUNT    4
#define PATH_NAME_SIZE    32
#define ADDRESS_TEXT_SIZE 80 /* "ff02::4d4c:4147%interface0 port 65535" */

struct path {
	char name[PATH_NAME_SIZE];      /* for texts: "peer link", "mgmt" */
	char interface[IFNAMSIZ];       /* bind to this interface (or vrf); "" = none */
	struct sockaddr_storage local;  /* our address; family 0 = any. Its port is ignored */
	struct sockaddr_storage remote; /* the peer's; family 0 = to be discovered on `interface` */
	uint16_t port;                  /* TCP for the session, UDP for keepalives; the same on both leaves */
	bool direct; /* directly attached: send with hop limit 255 and require 255 (RFC 5082) */
};

/*
 * Parse "192.0.2.1", "2001:db8::1" or "fe80::1%eth0" (the interface must exist for its scope). Port 0.
 * Returns 0 or -EINVAL.
 */
int address_parse(const char *text, struct sockaddr_storage *address);

/* Format as address_parse reads it, with " port N" unless the port is 0; "?" for no address. Returns `text`.
 */
const char *address_format(const struct sockaddr_storage *address, char text[static ADDRESS_TEXT_SIZE]);

/* Same family and host address (and scope, when both have one); ports are not compared. */
bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* Length of the address for bind, connect, sendto. */
socklen_t address_length(const struct sockaddr_storage *address);

/*
 * `host` with the path's port, and with the path's interface as scope when it is link-local without one.
 * What connect and sendto want.
 */
struct sockaddr_storage path_toward(const struct path *path, const struct sockaddr_storage *host);

/*
 * A non-blocking socket of `type` (SOCK_STREAM, SOCK_DGRAM) bound as the path says: to its interface, to its
 * local address (which need not exist yet) and `port` (0 = any), with the hop limit rule set when direct. The
 * family is the local address's, else the remote's, else IPv6. Returns the descriptor or -errno with the
 * failed step in `why`.
 */
int path_socket(const struct path *path, int type, uint16_t port, char *why, size_t why_size);

#endif
