/* SPDX-License-Identifier: ISC */
/*
 * Addresses and sockets of a path. Everything a path asks of a socket is done here once, for TCP and UDP
 * alike: the interface (SO_BINDTODEVICE, which also takes a vrf), an address that may come later (FREEBIND),
 * hop limit 255 both ways on a direct path (GTSM, RFC 5082), and a high priority, on the wire (DSCP CS6) and
 * in our own queues.
 */
#include "peerlink/path.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <netdb.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOPS     255  /* GTSM: what only a neighbour can send */
#define DSCP_CS6 0xc0 /* network control (RFC 4594) */

/* linux/ipv6.h has these too, but does not go together with netinet/in.h everywhere. */
#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73
#endif

static struct sockaddr_in *v4(struct sockaddr_storage *address)
{
	return (struct sockaddr_in *)address;
}

static struct sockaddr_in6 *v6(struct sockaddr_storage *address)
{
	return (struct sockaddr_in6 *)address;
}

static const struct sockaddr_in *v4_of(const struct sockaddr_storage *address)
{
	return (const struct sockaddr_in *)address;
}

static const struct sockaddr_in6 *v6_of(const struct sockaddr_storage *address)
{
	return (const struct sockaddr_in6 *)address;
}

static bool needs_scope(const struct in6_addr *host)
{
	return IN6_IS_ADDR_LINKLOCAL(host) || IN6_IS_ADDR_MC_LINKLOCAL(host);
}

int address_parse(const char *text, struct sockaddr_storage *address)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	if (strspn(text, "0123456789.") ==
	    strlen(text)) { /* strict: getaddrinfo would take "1" and "010.1" too */
		struct sockaddr_storage parsed = {.ss_family = AF_INET};
		if (inet_pton(AF_INET, text, &v4(&parsed)->sin_addr) != 1)
			return -EINVAL;
		*address = parsed;
		return 0;
	}
	if (!strchr(text, ':') || getaddrinfo(text, NULL, &hints, &found) != 0)
		return -EINVAL;
	struct sockaddr_storage parsed = {0};
	memcpy(&parsed, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	*address = parsed;
	return 0;
}

const char *address_format(const struct sockaddr_storage *address, char text[static ADDRESS_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "?", scope[IF_NAMESIZE + 1] = "";
	unsigned port = 0;
	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4_of(address)->sin_addr, host, sizeof(host));
		port = ntohs(v4_of(address)->sin_port);
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = v6_of(address);
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		port = ntohs(in6->sin6_port);
		char name[IF_NAMESIZE];
		if (in6->sin6_scope_id && if_indextoname(in6->sin6_scope_id, name))
			snprintf(scope, sizeof(scope), "%%%s", name);
		else if (in6->sin6_scope_id)
			snprintf(scope, sizeof(scope), "%%%u", in6->sin6_scope_id);
	}
	if (port)
		snprintf(text, ADDRESS_TEXT_SIZE, "%s%s port %u", host, scope, port);
	else
		snprintf(text, ADDRESS_TEXT_SIZE, "%s%s", host, scope);
	return text;
}

bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return v4_of(a)->sin_addr.s_addr == v4_of(b)->sin_addr.s_addr;
	if (a->ss_family != AF_INET6)
		return false;
	uint32_t one = v6_of(a)->sin6_scope_id, other = v6_of(b)->sin6_scope_id;
	return (one == other || !one || !other) &&
	       IN6_ARE_ADDR_EQUAL(&v6_of(a)->sin6_addr, &v6_of(b)->sin6_addr);
}

socklen_t address_length(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET)
		v4(address)->sin_port = htons(port);
	else
		v6(address)->sin6_port = htons(port);
}

struct sockaddr_storage path_toward(const struct path *path, const struct sockaddr_storage *host)
{
	struct sockaddr_storage to = *host;
	set_port(&to, path->port);
	if (to.ss_family == AF_INET6 && needs_scope(&v6(&to)->sin6_addr) && !v6(&to)->sin6_scope_id &&
	    path->interface[0])
		v6(&to)->sin6_scope_id = if_nametoindex(path->interface);
	return to;
}

static int flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* The options of one family; each names itself in `*step` before it is tried. */
static int set_family_options(int fd, int family, bool direct, int type, const char **step)
{
	bool six = family == AF_INET6;
	int level = six ? IPPROTO_IPV6 : IPPROTO_IP;
	*step = "set the traffic class";
	if (flag(fd, level, six ? IPV6_TCLASS : IP_TOS, DSCP_CS6) < 0)
		return -1;
	*step = "set free bind";
	if (flag(fd, level, six ? IPV6_FREEBIND : IP_FREEBIND, 1) < 0)
		return -1;
	*step = "set IPv6 only";
	if (six && flag(fd, level, IPV6_V6ONLY, 1) < 0)
		return -1;
	if (!direct)
		return 0;
	*step = "set the hop limit";
	if (flag(fd, level, six ? IPV6_UNICAST_HOPS : IP_TTL, HOPS) < 0)
		return -1;
	/* TCP drops by itself; for UDP the receiver is told the hop limit and counts. */
	*step = "require the hop limit";
	if (type == SOCK_STREAM)
		return flag(fd, level, six ? IPV6_MINHOPCOUNT : IP_MINTTL, HOPS);
	return flag(fd, level, six ? IPV6_RECVHOPLIMIT : IP_RECVTTL, 1);
}

static struct sockaddr_storage bind_address(const struct path *path, uint16_t port)
{
	struct sockaddr_storage local = path->local;
	if (!local.ss_family)
		local.ss_family = path->remote.ss_family ? path->remote.ss_family : AF_INET6;
	local = path_toward(path, &local);
	set_port(&local, port);
	return local;
}

int path_socket(const struct path *path, int type, uint16_t port, char *why, size_t why_size)
{
	struct sockaddr_storage local = bind_address(path, port);
	char text[ADDRESS_TEXT_SIZE + 8] = "";
	const char *step = "open a socket";
	int fd = socket(local.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto failed;
	step = "set the socket's options";
	/* TCP listeners only: UDP sockets sharing a port would steal from each other. */
	if (type == SOCK_STREAM && port && flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		goto failed;
	if (set_family_options(fd, local.ss_family, path->direct, type, &step) < 0)
		goto failed;
	step = "set the priority"; /* after the traffic class, which sets it too */
	if (flag(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_INTERACTIVE) < 0)
		goto failed;
	step = "bind to the interface";
	if (path->interface[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, path->interface,
					     (socklen_t)strnlen(path->interface, IFNAMSIZ - 1)) < 0)
		goto failed;
	step = "bind to";
	address_format(&local, text);
	if (bind(fd, (struct sockaddr *)&local, address_length(&local)) < 0)
		goto failed;
	return fd;
failed:;
	int error = errno;
	snprintf(why, why_size, "%s: cannot %s%s%s: %s", path->name, step, text[0] ? " " : "", text,
		 strerror(error));
	if (fd >= 0)
		close(fd);
	return -error;
}
