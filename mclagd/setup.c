/* SPDX-License-Identifier: ISC */
/*
 * Nothing is decided here, with one exception: a bridge that never ages its entries has an ageing time of
 * zero, which the core does not know; it gets a year.
 */
#include "mclagd/setup.h"

#include "peerlink/tls.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER_AGES_MS (365 * INT64_C(86400000))

_Static_assert(CONFIG_MCLAGS_MAX == MCLAG_MAX_COUNT, "the configuration and the core agree on how many");
_Static_assert(CONFIG_BACKUP_PATHS_MAX + 1 == PATH_MAX_COUNT, "the peer link is a path, too");

int setup_domain(const struct config *c, const struct switch_facts *facts, uint64_t boot_id,
		 struct domain_config *d, struct mclag_config *mclags, char why[static SETUP_WHY_SIZE])
{
	struct mac own = mac_is_zero(c->own_system) ? facts->bridge : c->own_system;
	if (mac_equal(own, c->system) || mac_is_zero(own) || mac_is_multicast(own)) {
		char text[MAC_TEXT_SIZE];
		snprintf(why, SETUP_WHY_SIZE,
			 "the address of %s, %s, cannot be this leaf's own system MAC: set own-system-mac",
			 c->bridge, mac_format(own, text));
		return -EINVAL;
	}
	for (size_t i = 0; i < c->mclag_count; i++) {
		const struct config_mclag *m = &c->mclags[i];
		mclags[i] = (struct mclag_config){.id = m->id,
						  .speaker = m->lacp,
						  .active = m->active,
						  .fast = m->fast,
						  .port_priority = m->port_priority};
	}
	domain_config_defaults(d);
	d->domain = c->domain;
	d->node = c->node;
	d->boot_id = boot_id;
	d->priority = c->priority;
	d->system = c->system;
	d->system_priority = c->system_priority;
	d->own_system = own;
	d->via = facts->via;
	d->path_count = c->backup_path_count + 1;
	d->keepalive_ms = c->keepalive_interval_ms;
	d->multiplier = c->keepalive_multiplier;
	d->session_timeout_ms = c->session_timeout_ms;
	d->alone_ms = c->alone_s * INT64_C(1000);
	d->ceiling_ms = c->ceiling_s * INT64_C(1000);
	d->grace_ms = c->grace_s * INT64_C(1000);
	d->ageing_ms = facts->ageing_ms ? facts->ageing_ms : NEVER_AGES_MS;
	d->on_split = c->on_split;
	d->entry_limit = c->entry_limit;
	d->mclag_count = c->mclag_count;
	d->mclags = mclags;
	return 0;
}

static struct path make_path(const struct config_path *from, uint16_t port, bool direct)
{
	struct path p = {.port = port, .direct = direct};
	memcpy(p.name, from->name, sizeof(p.name));
	memcpy(p.interface, from->interface, sizeof(p.interface));
	if (from->address[0] &&
	    (address_parse(from->address, &p.local) || address_parse(from->peer, &p.remote)))
		abort(); /* config.h promises */
	return p;
}

size_t setup_paths(const struct config *c, uint16_t port, struct path paths[static PATH_MAX_COUNT])
{
	paths[PATH_PEER_LINK] = make_path(&c->via, port, true);
	for (size_t i = 0; i < c->backup_path_count; i++)
		paths[i + 1] = make_path(&c->backup_paths[i], port, false);
	return c->backup_path_count + 1;
}

/* One pin per line; empty lines and those that start with '#' do not count. */
static int read_pins(const char *file, struct pin *pins, size_t *count, char *why)
{
	char line[160];
	int error = 0;
	unsigned number = 0;
	FILE *f = fopen(file, "re");
	if (!f) {
		snprintf(why, SETUP_WHY_SIZE, "%s: %s", file, strerror(errno));
		return -errno;
	}
	*count = 0;
	while (!error && fgets(line, sizeof(line), f)) {
		size_t length = strlen(line);
		number++;
		while (length > 0 && isspace((unsigned char)line[length - 1]))
			line[--length] = 0;
		if (line[0] == 0 || line[0] == '#')
			continue;
		if (*count == CONFIG_PINS_MAX || pin_parse(line, &pins[*count])) {
			snprintf(why, SETUP_WHY_SIZE,
				 "%s:%u: expected \"sha256:\" and 64 hex digits, at most %d times", file,
				 number, CONFIG_PINS_MAX);
			error = -EINVAL;
		} else
			++*count;
	}
	if (!error && *count == 0) {
		snprintf(why, SETUP_WHY_SIZE, "%s: no pin in it", file);
		error = -EINVAL;
	}
	fclose(f);
	return error;
}

int setup_tls(const struct config_keys *k, struct tls **tls, char why[static SETUP_WHY_SIZE])
{
	struct pin pins[CONFIG_PINS_MAX];
	size_t count = k->pin_count;
	int error = 0;
	for (size_t i = 0; i < k->pin_count; i++)
		if (pin_parse(k->pins[i], &pins[i]))
			abort(); /* config.h promises */
	if (k->pins_file[0])
		error = read_pins(k->pins_file, pins, &count, why);
	if (error)
		return error;
	const struct tls_config config = {.cert_file = k->certificate,
					  .key_file = k->key,
					  .pins = count ? pins : NULL,
					  .pin_count = count,
					  .ca_file = k->ca[0] ? k->ca : NULL,
					  .peer_name = k->peer_name[0] ? k->peer_name : NULL};
	return tls_create(&config, tls, why, SETUP_WHY_SIZE);
}

int setup_secret(const struct config_keys *k, struct secret *secret, char why[static SETUP_WHY_SIZE])
{
	return pki_read_secret(k->keepalive_secret, secret, why, SETUP_WHY_SIZE);
}
