/* SPDX-License-Identifier: ISC */
/*
 * The parsers of kernel messages: the bytes are one netlink message. What a parser takes keeps the promises
 * of its header; what it refuses leaves the outputs as they were.
 */
#include "fuzz.h"
#include "netlink/fdb.h"
#include "netlink/link.h"
#include <errno.h>
#include <string.h>

static void check_link(const void *message, size_t size)
{
	struct link_message m, before;

	memset(&m, 0x5a, sizeof(m));
	memset(&before, 0x5a, sizeof(before));
	int error = link_parse(message, size, &m);
	REQUIRE(error == 0 || error == -EBADMSG || error == -ENOMSG);
	if (error) {
		REQUIRE(!memcmp(&m, &before, sizeof(m)));
		return;
	}
	REQUIRE(m.link.ifindex > 0);
	REQUIRE(memchr(m.link.name, '\0', sizeof(m.link.name)));
	REQUIRE(memchr(m.link.kind, '\0', sizeof(m.link.kind)));
	REQUIRE(m.link.is_port == ((m.has & LINK_HAS_PORT) != 0));
	REQUIRE(m.link.speed == 0 && m.link.duplex == LINK_DUPLEX_UNKNOWN);
}

static void check_fdb(const void *message, size_t size)
{
	struct fdb_entry entry, before;
	enum fdb_change change = FDB_GONE;

	memset(&entry, 0x5a, sizeof(entry));
	memset(&before, 0x5a, sizeof(before));
	int error = fdb_parse(message, size, &change, &entry);
	REQUIRE(error == 0 || error == -EBADMSG || error == -ENOMSG);
	if (error) {
		REQUIRE(!memcmp(&entry, &before, sizeof(entry)) && change == FDB_GONE);
		return;
	}
	REQUIRE(change == FDB_NEW || change == FDB_GONE);
	REQUIRE(entry.ifindex > 0 && entry.bridge > 0 && entry.vlan <= 4094);
	REQUIRE(entry.state == FDB_DYNAMIC || entry.state == FDB_STATIC || entry.state == FDB_LOCAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t *exact = malloc(size ? size : 1); /* aligned, as a receive buffer is */

	REQUIRE(exact);
	memcpy(exact, data, size);
	check_link(exact, size);
	check_fdb(exact, size);
	free(exact);
	return 0;
}
