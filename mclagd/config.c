/* SPDX-License-Identifier: ISC */
/*
 * One table of keys says what the file may contain (schema.h); below it stand the rules that no single key
 * can say. A new key is one row here, a member in config.h, a paragraph in mclagd.yaml(5) and a golden pair
 * in tests/unit/config.
 */
#include "mclagd/config.h"

#include "mclagd/schema.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- what one text may be ---------------------------------------------------------------------------- */

static bool is_interface(const char *text)
{
	size_t length = strlen(text);
	if (length == 0 || length >= IFNAMSIZ || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-+@", *c))
			return false;
	return true;
}

static bool is_name(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return text[0] != 0;
}

/* No scope: where one is needed the path's interface is it. */
static bool is_address(const char *text)
{
	struct in6_addr any;
	return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

static bool is_file(const char *text)
{
	for (const char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return false;
	return text[0] == '/' && text[1];
}

static bool is_pin(const char *text)
{
	return strncmp(text, "sha256:", 7) == 0 && strlen(text) == 71 &&
	       strspn(text + 7, "0123456789abcdefABCDEF") == 64;
}

/* --- the table --------------------------------------------------------------------------------------- */

#define AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define EACH(type, array, n)                                                                                 \
	.offset = offsetof(type, array), .size = sizeof(((type *)0)->array[0]),                              \
	.count_offset = offsetof(type, n),                                                                   \
	.max_count = sizeof(((type *)0)->array) / sizeof(((type *)0)->array[0])
#define NUMBER(lowest, highest, otherwise)                                                                   \
	.kind = KEY_NUMBER, .min = (lowest), .max = (highest), .fallback = (otherwise)
#define CHOICE(words, otherwise)                                                                             \
	.kind = KEY_CHOICE, .choices = (words), .max = sizeof(words) / sizeof((words)[0]) - 1,               \
	.fallback = (otherwise)
#define INTERFACE .kind = KEY_TEXT, .valid = is_interface, .expected = "an interface name"
#define NAME                                                                                                 \
	.kind = KEY_TEXT, .valid = is_name,                                                                  \
	.expected = "a name of letters, digits, '.', '_' and '-', at most 31"
#define ADDRESS  .kind = KEY_TEXT, .valid = is_address, .expected = "an IPv4 or IPv6 address without a scope"
#define PATHNAME .kind = KEY_TEXT, .valid = is_file, .expected = "an absolute path"
#define REQUIRED .required = true

#define WORD(constant, word, help) [constant] = (word),
static const char *const speakers[] = {SPEAKERS(WORD)};
static const char *const split_policies[] = {SPLIT_POLICIES(WORD)};
static const char *const activities[] = {[false] = "passive", [true] = "active"};
static const char *const rates[] = {[false] = "slow", [true] = "fast"};
static const char *const log_levels[] = {"error", "warning", "info", "debug"};
static const char *const log_targets[] = {"auto", "journal", "stderr"};

/* `port` and the rest of peer-link lie side by side in struct config. */
static const struct key peer_link_keys[] = {
    {"port", INTERFACE, REQUIRED, AT(struct config, peer_link)},
    {"via", INTERFACE, REQUIRED, AT(struct config, via.interface)},
    {"address", ADDRESS, AT(struct config, via.address)},
    {"peer", ADDRESS, AT(struct config, via.peer)},
    {0},
};

static const struct key backup_path_keys[] = {
    {"name", NAME, REQUIRED, AT(struct config_path, name)},
    {"interface", INTERFACE, AT(struct config_path, interface)},
    {"address", ADDRESS, REQUIRED, AT(struct config_path, address)},
    {"peer", ADDRESS, REQUIRED, AT(struct config_path, peer)},
    {0},
};

static const struct key keys_keys[] = {
    {"certificate", PATHNAME, REQUIRED, AT(struct config_keys, certificate)},
    {"key", PATHNAME, REQUIRED, AT(struct config_keys, key)},
    {"peer-pins", KEY_TEXTS, .valid = is_pin, .expected = "\"sha256:\" and 64 hex digits",
     EACH(struct config_keys, pins, pin_count)},
    {"peer-pins-file", PATHNAME, AT(struct config_keys, pins_file)},
    {"ca", PATHNAME, AT(struct config_keys, ca)},
    {"peer-name", .kind = KEY_TEXT, .valid = is_name, .expected = "a DNS name",
     AT(struct config_keys, peer_name)},
    {"keepalive-secret", PATHNAME, REQUIRED, AT(struct config_keys, keepalive_secret)},
    {0},
};

static const struct key mclag_keys[] = {
    {"id", NUMBER(1, MCLAG_MAX, 0), REQUIRED, AT(struct config_mclag, id)},
    {"port", INTERFACE, REQUIRED, AT(struct config_mclag, port)},
    {"lacp", CHOICE(speakers, SPEAKER_ENGINE), AT(struct config_mclag, lacp)},
    {"lacp-mode", CHOICE(activities, true), AT(struct config_mclag, active)},
    {"lacp-rate", CHOICE(rates, true), AT(struct config_mclag, fast)},
    {"port-priority", NUMBER(0, UINT16_MAX, 32768), AT(struct config_mclag, port_priority)},
    {0},
};

static const struct key log_keys[] = {
    {"level", CHOICE(log_levels, CONFIG_LOG_INFO), AT(struct config, log.level)},
    {"target", CHOICE(log_targets, CONFIG_LOG_AUTO), AT(struct config, log.target)},
    {0},
};

static const struct key journal_keys[] = {
    {"file", PATHNAME, AT(struct config, journal.file)},
    {"size-mb", NUMBER(1, 65536, 256), AT(struct config, journal.size_mb)},
    {0},
};

static const struct key config_keys[] = {
    {"domain", NUMBER(1, 4095, 0), REQUIRED, AT(struct config, domain)},
    {"node", NUMBER(1, 2, 0), AT(struct config, node)},
    {"priority", NUMBER(0, UINT16_MAX, 100), AT(struct config, priority)},
    {"system-mac", .kind = KEY_MAC, REQUIRED, AT(struct config, system)},
    {"system-priority", NUMBER(0, UINT16_MAX, 32768), AT(struct config, system_priority)},
    {"own-system-mac", .kind = KEY_MAC, AT(struct config, own_system)},
    {"bridge", INTERFACE, REQUIRED, AT(struct config, bridge)},
    {"peer-link", KEY_MAPPING, REQUIRED, .keys = peer_link_keys},
    {"backup-paths", KEY_LIST, .keys = backup_path_keys,
     EACH(struct config, backup_paths, backup_path_count)},
    {"keys", KEY_MAPPING, REQUIRED, .keys = keys_keys, AT(struct config, keys)},
    {"session-port", NUMBER(1, UINT16_MAX, 5911), AT(struct config, session_port)},
    {"keepalive-port", NUMBER(1, UINT16_MAX, 5911), AT(struct config, keepalive_port)},
    {"keepalive-interval-ms", NUMBER(10, 10000, 100), AT(struct config, keepalive_interval_ms)},
    {"keepalive-multiplier", NUMBER(3, 50, 5), AT(struct config, keepalive_multiplier)},
    {"session-timeout-ms", NUMBER(1000, 60000, 3000), AT(struct config, session_timeout_ms)},
    {"alone-s", NUMBER(5, 900, 60), .zero_word = "never", AT(struct config, alone_s)},
    {"ceiling-s", NUMBER(1, 900, 180), AT(struct config, ceiling_s)},
    {"grace-s", NUMBER(1, 600, 60), AT(struct config, grace_s)},
    {"on-split", CHOICE(split_policies, SPLIT_ARBITRATE), AT(struct config, on_split)},
    {"entry-limit", NUMBER(1, 4194304, 524288), AT(struct config, entry_limit)},
    {"mclags", KEY_LIST, .keys = mclag_keys, EACH(struct config, mclags, mclag_count)},
    {"control-socket", .kind = KEY_TEXT, .valid = is_file,
     .expected = "an absolute path of at most 107 bytes", .text = "/run/mclagd/mclagd.sock",
     AT(struct config, control_socket)},
    {"state-dir", PATHNAME, .text = "/run/mclagd", AT(struct config, state_dir)},
    {"log", KEY_MAPPING, .keys = log_keys},
    {"journal", KEY_MAPPING, .keys = journal_keys},
    {0},
};

/* --- rules of more than one key ---------------------------------------------------------------------- */

/* -1, 0, 1 as address is lower, equal, higher than peer; 2 when they are not of one family. */
static int compare_addresses(const char *address, const char *peer)
{
	uint8_t a[16] = {0}, b[16] = {0};
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, address, a) != 1 || inet_pton(family, peer, b) != 1)
		return 2;
	int order = memcmp(a, b, sizeof(a));
	return order < 0 ? -1 : order > 0;
}

static bool is_link_local(const char *address)
{
	struct in6_addr a;
	return inet_pton(AF_INET6, address, &a) == 1 && IN6_IS_ADDR_LINKLOCAL(&a);
}

static int check_addresses(const struct config_path *p, const struct source *s, const char *at, char *why)
{
	char key[SOURCE_PATH_SIZE];
	snprintf(key, sizeof(key), "%.64s.peer", at);
	if (!p->address[0] != !p->peer[0])
		return source_refuse(s, why, at,
				     "address and peer: write both, or neither to have them discovered");
	if (!p->address[0])
		return 0;
	int order = compare_addresses(p->address, p->peer);
	if (order == 2)
		return source_refuse(s, why, key, "%s and %s are not of one family", p->address, p->peer);
	if (order == 0)
		return source_refuse(s, why, key, "%s is this leaf's own address", p->peer);
	if (!p->interface[0] && (is_link_local(p->address) || is_link_local(p->peer)))
		return source_refuse(s, why, at, "a link-local address wants an interface");
	return 0;
}

static int check_paths(struct config *c, const struct source *s, char *why)
{
	snprintf(c->via.name, sizeof(c->via.name), "peer-link");
	int error = check_addresses(&c->via, s, "peer-link", why);
	if (error)
		return error;
	if (strcmp(c->via.interface, c->peer_link) == 0)
		return source_refuse(s, why, "peer-link.via",
				     "%s is the bridge port itself, which cannot carry IP", c->peer_link);
	for (size_t i = 0; i < c->backup_path_count; i++) {
		const struct config_path *p = &c->backup_paths[i];
		char at[SOURCE_PATH_SIZE], key[SOURCE_PATH_SIZE + 16];
		snprintf(at, sizeof(at), "backup-paths[%zu]", i);
		if ((error = check_addresses(p, s, at, why)))
			return error;
		snprintf(key, sizeof(key), "%s.interface", at);
		if (strcmp(p->interface, c->peer_link) == 0 || strcmp(p->interface, c->via.interface) == 0)
			return source_refuse(s, why, key, "%s is the peer link, which is no second way",
					     p->interface);
		snprintf(key, sizeof(key), "%s.name", at);
		bool taken = strcmp(p->name, c->via.name) == 0;
		for (size_t j = 0; j < i; j++)
			taken = taken || strcmp(p->name, c->backup_paths[j].name) == 0;
		if (taken)
			return source_refuse(s, why, key, "%s is the name of another path", p->name);
	}
	return 0;
}

/* Lower address = 1, on the first path that has both; so it is known without talking to the peer. */
static int derive_node(struct config *c, const struct source *s, char *why)
{
	if (c->node)
		return 0;
	for (size_t i = 0; i <= c->backup_path_count; i++) {
		const struct config_path *p = i == 0 ? &c->via : &c->backup_paths[i - 1];
		if (!p->address[0])
			continue;
		c->node = compare_addresses(p->address, p->peer) < 0 ? 1 : 2;
		return 0;
	}
	return source_refuse(s, why, "node",
			     "missing, expected 1..2: no path has both addresses to derive it from");
}

static int check_keys(const struct config_keys *k, const struct source *s, char *why)
{
	bool by_ca = k->ca[0] || k->peer_name[0];
	if ((k->pin_count > 0) + (k->pins_file[0] != 0) + by_ca != 1)
		return source_refuse(
		    s, why, "keys",
		    "the peer is known by exactly one of peer-pins, peer-pins-file, and ca with "
		    "peer-name");
	if (by_ca && (!k->ca[0] || !k->peer_name[0]))
		return source_refuse(s, why, "keys", "ca and peer-name go together");
	return 0;
}

static int check_mclag(const struct config *c, size_t i, const struct source *s, char *why)
{
	const struct config_mclag *m = &c->mclags[i];
	char id[SOURCE_PATH_SIZE], port[SOURCE_PATH_SIZE];
	snprintf(id, sizeof(id), "mclags[%zu].id", i);
	snprintf(port, sizeof(port), "mclags[%zu].port", i);
	/* The LACP port number is the id in this node's half of the number space. */
	if ((m->id & (LACP_PORT_HALF - 1)) == 0)
		return source_refuse(s, why, id, "%u leaves no LACP port number, use another id", m->id);
	if (strcmp(m->port, c->peer_link) == 0)
		return source_refuse(s, why, port, "%s is the peer link", m->port);
	if (strcmp(m->port, c->bridge) == 0)
		return source_refuse(s, why, port, "%s is the bridge", m->port);
	if (strcmp(m->port, c->via.interface) == 0)
		return source_refuse(s, why, port, "%s is the interface of the session", m->port);
	for (size_t j = 0; j < i; j++) {
		const struct config_mclag *other = &c->mclags[j];
		if (other->id == m->id)
			return source_refuse(s, why, id, "%u is the id of mclags[%zu] already", m->id, j);
		if (((other->id ^ m->id) & (LACP_PORT_HALF - 1)) == 0)
			return source_refuse(s, why, id,
					     "%u and %u (mclags[%zu]) would share an LACP port number", m->id,
					     other->id, j);
		if (strcmp(other->port, m->port) == 0)
			return source_refuse(s, why, port, "%s is the port of mclag %u already", m->port,
					     other->id);
	}
	return 0;
}

static int check(struct config *c, const struct source *s, char *why)
{
	int error = check_paths(c, s, why);
	if (!error)
		error = derive_node(c, s, why);
	if (!error)
		error = check_keys(&c->keys, s, why);
	if (!error && strcmp(c->bridge, c->peer_link) == 0)
		error = source_refuse(s, why, "peer-link.port", "%s is the bridge", c->bridge);
	if (!error && mac_equal(c->own_system, c->system))
		error = source_refuse(s, why, "own-system-mac", "is the system-mac of the pair");
	for (size_t i = 0; !error && i < c->mclag_count; i++)
		error = check_mclag(c, i, s, why);
	return error;
}

static int by_id(const void *a, const void *b)
{
	const struct config_mclag *one = a, *other = b;
	return (int)one->id - (int)other->id;
}

/* --- files ------------------------------------------------------------------------------------------- */

int config_parse(struct config **c, const char *name, const char *text, size_t size,
		 char why[static SOURCE_WHY_SIZE])
{
	struct source *source = NULL;
	struct config *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	int error = source_open(&source, name, text, size, why);
	if (!error)
		error = schema_read(config_keys, source, n, why);
	if (!error)
		error = check(n, source, why);
	source_close(source);
	if (error) {
		config_free(n);
		return error;
	}
	qsort(n->mclags, n->mclag_count, sizeof(n->mclags[0]), by_id);
	*c = n;
	return 0;
}

int config_load(struct config **c, const char *file, char why[static SOURCE_WHY_SIZE])
{
	char *text = NULL;
	int error = 0;
	size_t size = 0;
	FILE *f = fopen(file, "re");
	if (!f)
		goto failed;
	text = malloc(SOURCE_SIZE_MAX + 1); /* one more, so that source_open() sees a file that is too long */
	if (!text)
		abort();
	size = fread(text, 1, SOURCE_SIZE_MAX + 1, f);
	if (ferror(f))
		goto failed;
	const char *slash = strrchr(file, '/');
	error = config_parse(c, slash ? slash + 1 : file, text, size, why);
	goto out;
failed:
	error = -errno;
	snprintf(why, SOURCE_WHY_SIZE, "%s: %s", file, strerror(errno));
out:
	if (f)
		fclose(f);
	free(text);
	return error;
}

void config_free(struct config *c)
{
	free(c);
}

void config_write(const struct config *c, FILE *file)
{
	schema_write(config_keys, c, file);
}

bool config_equal(const struct config *a, const struct config *b)
{
	char *text[2] = {NULL, NULL};
	const struct config *both[2] = {a, b};
	for (int i = 0; i < 2; i++) {
		size_t size;
		FILE *f = open_memstream(&text[i], &size);
		if (!f)
			abort();
		config_write(both[i], f);
		fclose(f);
	}
	bool equal = strcmp(text[0], text[1]) == 0;
	free(text[0]);
	free(text[1]);
	return equal;
}

int config_log_level_parse(const char *text, enum config_log_level *level)
{
	for (int i = 0; i <= CONFIG_LOG_DEBUG; i++)
		if (strcmp(text, log_levels[i]) == 0) {
			*level = (enum config_log_level)i;
			return 0;
		}
	return -EINVAL;
}
