/* SPDX-License-Identifier: ISC */
/*
 * The configuration file, by example: each NAME.yaml in tests/unit/config has its NAME.canonical (what it
 * reads as, which reads as itself); `BLESS=1 test_config` writes what comes out now, and the diff is read
 * like code. What is refused, and with which words, is the table below.
 */
#include "mclagd/config.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_SIZE 65536

static char *read_text(const char *file)
{
	char *text = calloc(1, FILE_SIZE);
	FILE *f = fopen(file, "re");
	assert_non_null(text);
	if (!f)
		fail_msg("%s: %s", file, strerror(errno));
	size_t size = fread(text, 1, FILE_SIZE - 1, f);
	assert_true(size < FILE_SIZE - 1);
	fclose(f);
	return text;
}

/* What the configuration writes as; to be freed. */
static char *canonical(const struct config *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	assert_non_null(f);
	config_write(c, f);
	fclose(f);
	return text;
}

static void expect_text(const char *file, const char *text)
{
	if (getenv("BLESS")) {
		FILE *f = fopen(file, "we");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
	}
	char *wanted = read_text(file);
	if (strcmp(wanted, text) != 0)
		print_error("%s says:\n%s\nbut it is:\n%s\n", file, wanted, text);
	assert_string_equal(wanted, text);
	free(wanted);
}

static void expect_canonical(const struct config *c, const char *file)
{
	char why[SOURCE_WHY_SIZE] = "";
	struct config *again = NULL;
	char *text = canonical(c);
	expect_text(file, text);
	int error = config_parse(&again, "canonical", text, strlen(text), why);
	if (error)
		fail_msg("%s does not read: %s", file, why);
	char *twice = canonical(again);
	assert_string_equal(twice, text);
	assert_true(config_equal(c, again));
	assert_memory_equal(c, again, sizeof(*c));
	config_free(again);
	free(twice);
	free(text);
}

/* stem: file without ".yaml" */
static void check_case(const char *stem)
{
	char yaml[512], good[512], why[SOURCE_WHY_SIZE] = "";
	snprintf(yaml, sizeof(yaml), "%s.yaml", stem);
	snprintf(good, sizeof(good), "%s.canonical", stem);
	struct config *c = NULL;
	if (config_load(&c, yaml, why))
		fail_msg("%s", why);
	expect_canonical(c, good);
	config_free(c);
}

static void goldens(void **state)
{
	(void)state;
	DIR *d = opendir(CONFIG_GOLDENS);
	assert_non_null(d);
	int cases = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char stem[400];
		size_t length = strlen(e->d_name);
		if (length < 6 || strcmp(e->d_name + length - 5, ".yaml") != 0)
			continue;
		snprintf(stem, sizeof(stem), "%s/%.*s", CONFIG_GOLDENS, (int)(length - 5), e->d_name);
		check_case(stem);
		cases++;
	}
	closedir(d);
	assert_true(cases >= 10);
}

/* How minimal.yaml is changed, and what is said of it then. */
struct refusal {
	const char *from, *to; /* the first FROM becomes TO; ALL: TO is the whole file */
	const char *add;       /* behind the end */
	const char *error;
};

#define ALL  NULL
#define PINS "peer-pins: [sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]"
#define X107                                                                                                 \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxx"

/* clang-format off: a row per line pair, to be read as a list */
static const struct refusal refusals[] = {
    {"  address: 192.0.2.1\n  peer: 192.0.2.2\n", "", "",
     "mclagd.yaml:1: node: missing, expected 1..2: no path has both addresses to derive it from"},
    {ALL, "", "", "mclagd.yaml:1: empty"},
    {ALL, "# nothing\n", "", "mclagd.yaml:2: empty"},
    {ALL, "- 1\n", "", "mclagd.yaml:1: no mapping of keys to values"},
    {"", "", "---\ndomain: 1\n", "mclagd.yaml:14: more than one document"},
    {"", "", "  foo: 2\n",
     "mclagd.yaml:14: keys.foo: unknown key, expected certificate, key, peer-pins, peer-pins-file, ca, "
     "peer-name or keepalive-secret"},
    {"", "", "log:\n\tlevel: info\n", "mclagd.yaml:15: found character that cannot start any token"},
    {"", "", "state-dir: \"/\377\"\n", "mclagd.yaml:14: invalid leading UTF-8 octet"},
    {"", "", "state-dir: \"/run\\0/x\"\n", "mclagd.yaml:14: a value with a NUL byte in it"},
    {"bridge: br0", "bridge: &b br0", "", "mclagd.yaml:3: anchors and tags are not used here"},
    {"via: br0", "via: *b", "", "mclagd.yaml:6: aliases are not used here"},
    {"", "", "priority: !!int 5\n", "mclagd.yaml:14: anchors and tags are not used here"},
    {"", "", "log: !x {level: info}\n", "mclagd.yaml:14: anchors and tags are not used here"},
    {"", "", "? [a]\n: 2\n", "mclagd.yaml:14: a key that is no plain word"},
    {"", "", "log: {level: [[[[[[[[1]]]]]]]]}\n", "mclagd.yaml:14: nested deeper than any configuration is"},
    {"", "", "prioritty: 5\n",
     "mclagd.yaml:14: prioritty: unknown key, expected domain, node, priority, system-mac, system-priority, "
     "own-system-mac, bridge, peer-link, backup-paths, keys, session-port, keepalive-port, "
     "keepalive-interval-ms, keepalive-multiplier, session-timeout-ms, alone-s, ceiling-s, grace-s, "
     "on-split, entry-limit, mclags, control-socket, state-dir, log or journal"},
    {"", "", "log:\n  level: info\n  levle: debug\n",
     "mclagd.yaml:16: log.levle: unknown key, expected level or target"},
    {"", "", "mclags:\n  - id: 1\n    port: po1\n  - id: 2\n    port: po2\n    vlan: 5\n",
     "mclagd.yaml:19: mclags[1].vlan: unknown key, expected id, port, lacp, lacp-mode, lacp-rate or "
     "port-priority"},
    {"", "", "domain: 2\n", "mclagd.yaml:14: domain: given twice"},
    {"domain: 1\n", "", "", "mclagd.yaml:1: domain: missing, expected 1..4095"},
    {"bridge: br0\n", "", "", "mclagd.yaml:1: bridge: missing, expected an interface name"},
    {"port: pl\n  ", "", "", "mclagd.yaml:4: peer-link.port: missing, expected an interface name"},
    {"", "", "mclags:\n  - id: 1\n    port: po1\n  - id: 2\n",
     "mclagd.yaml:17: mclags[1].port: missing, expected an interface name"},
    {"  keepalive-secret: /etc/mclagd/keepalive.secret\n", "", "",
     "mclagd.yaml:9: keys.keepalive-secret: missing, expected an absolute path"},
    {"domain: 1", "domain: 0", "", "mclagd.yaml:1: domain: 0 is not 1..4095"},
    {"domain: 1", "domain: 4096", "", "mclagd.yaml:1: domain: 4096 is not 1..4095"},
    {"domain: ", "domain: -", "", "mclagd.yaml:1: domain: -1 is not 1..4095"},
    {"domain: 1", "domain: 0x10", "", "mclagd.yaml:1: domain: 0x10 is not 1..4095"},
    {"domain: 1", "domain: 010", "", "mclagd.yaml:1: domain: 010 is not 1..4095"},
    {"domain: 1", "domain: 1.0", "", "mclagd.yaml:1: domain: 1.0 is not 1..4095"},
    {"domain: 1", "domain: 99999999999999999999", "",
     "mclagd.yaml:1: domain: 99999999999999999999 is not 1..4095"},
    {"domain: 1", "domain:", "", "mclagd.yaml:1: domain: empty, expected 1..4095"},
    {"domain: 1", "domain: [1]", "", "mclagd.yaml:1: domain: expected one value"},
    {"", "", "node: 3\n", "mclagd.yaml:14: node: 3 is not 1..2"},
    {"", "", "mclags:\n  - id: 70000\n    port: po1\n",
     "mclagd.yaml:15: mclags[0].id: 70000 is not 1..65535"},
    {"", "", "mclags:\n  - {id: 0, port: po1}\n", "mclagd.yaml:15: mclags[0].id: 0 is not 1..65535"},
    {"", "", "mclags:\n  - {id: 32768, port: po1}\n",
     "mclagd.yaml:15: mclags[0].id: 32768 leaves no LACP port number, use another id"},
    {"", "", "mclags:\n  - {id: 7, port: po1}\n  - {id: 7, port: po2}\n",
     "mclagd.yaml:16: mclags[1].id: 7 is the id of mclags[0] already"},
    {"", "", "mclags:\n  - {id: 5, port: po1}\n  - {id: 32773, port: po2}\n",
     "mclagd.yaml:16: mclags[1].id: 32773 and 5 (mclags[0]) would share an LACP port number"},
    {"", "", "mclags:\n  - {id: 7, port: po1}\n  - {id: 8, port: po1}\n",
     "mclagd.yaml:16: mclags[1].port: po1 is the port of mclag 7 already"},
    {"", "", "mclags:\n  - id: 7\n    port: pl\n", "mclagd.yaml:16: mclags[0].port: pl is the peer link"},
    {"", "", "mclags:\n  - id: 7\n    port: br0\n", "mclagd.yaml:16: mclags[0].port: br0 is the bridge"},
    {"via: br0", "via: vl", "mclags:\n  - {id: 7, port: vl}\n",
     "mclagd.yaml:15: mclags[0].port: vl is the interface of the session"},
    {"", "", "mclags:\n  - {id: 1, port: \"po 1\"}\n",
     "mclagd.yaml:15: mclags[0].port: po 1 is not an interface name"},
    {"", "", "mclags:\n  - {id: 1, port: abcdefghijklmnop}\n",
     "mclagd.yaml:15: mclags[0].port: abcdefghijklmnop is not an interface name"},
    {"", "", "mclags:\n  - {id: 1, port: 'a\"b'}\n",
     "mclagd.yaml:15: mclags[0].port: a\"b is not an interface name"},
    {"", "", "mclags:\n  - {id: 1, port: po1, lacp: bond}\n",
     "mclagd.yaml:15: mclags[0].lacp: bond is not engine or static"},
    {"", "", "mclags:\n  - {id: 1, port: po1, lacp-rate: quick}\n",
     "mclagd.yaml:15: mclags[0].lacp-rate: quick is not slow or fast"},
    {"", "", "on-split: maybe\n", "mclagd.yaml:14: on-split: maybe is not arbitrate or stay"},
    {"", "", "alone-s: 0\n", "mclagd.yaml:14: alone-s: 0 is not 5..900 or never"},
    {"", "", "alone-s: 4\n", "mclagd.yaml:14: alone-s: 4 is not 5..900 or never"},
    {"", "", "keepalive-interval-ms: 9\n", "mclagd.yaml:14: keepalive-interval-ms: 9 is not 10..10000"},
    {"", "", "keepalive-multiplier: 2\n", "mclagd.yaml:14: keepalive-multiplier: 2 is not 3..50"},
    {"system-mac: 02", "system-mac: 03", "",
     "mclagd.yaml:2: system-mac: 03:00:00:00:00:01 is not a unicast MAC address such as 02:00:00:00:00:01"},
    {"system-mac: 02:00:00:00:00:01", "system-mac: 00:00:00:00:00:00", "",
     "mclagd.yaml:2: system-mac: 00:00:00:00:00:00 is not a unicast MAC address such as 02:00:00:00:00:01"},
    {"system-mac: 02:00:00:00:00:01", "system-mac: 02:00:00", "",
     "mclagd.yaml:2: system-mac: 02:00:00 is not a unicast MAC address such as 02:00:00:00:00:01"},
    {"", "", "own-system-mac: 02:00:00:00:00:01\n",
     "mclagd.yaml:14: own-system-mac: is the system-mac of the pair"},
    {"address: 192.0.2.1", "address: 192.0.2.256", "",
     "mclagd.yaml:7: peer-link.address: 192.0.2.256 is not an IPv4 or IPv6 address without a scope"},
    {"address: 192.0.2.1", "address: fe80::1%eth0", "",
     "mclagd.yaml:7: peer-link.address: fe80::1%eth0 is not an IPv4 or IPv6 address without a scope"},
    {"peer: 192.0.2.2", "peer: 192.0.2.1", "",
     "mclagd.yaml:8: peer-link.peer: 192.0.2.1 is this leaf's own address"},
    {"peer: 192.0.2.2", "peer: 2001:db8::1", "",
     "mclagd.yaml:8: peer-link.peer: 192.0.2.1 and 2001:db8::1 are not of one family"},
    {"  peer: 192.0.2.2\n", "", "",
     "mclagd.yaml:4: peer-link: address and peer: write both, or neither to have them discovered"},
    {"via: br0", "via: pl", "",
     "mclagd.yaml:6: peer-link.via: pl is the bridge port itself, which cannot carry IP"},
    {"port: pl\n  via: br0", "port: br0\n  via: vl", "", "mclagd.yaml:5: peer-link.port: br0 is the bridge"},
    {"", "", "backup-paths:\n  - {name: mgmt, address: 10.0.0.9}\n",
     "mclagd.yaml:15: backup-paths[0].peer: missing, expected an IPv4 or IPv6 address without a scope"},
    {"", "",
     "backup-paths:\n  - {name: mgmt, address: 10.0.0.9, peer: 10.0.0.10}\n  - {name: mgmt, address: "
     "10.0.1.9, peer: 10.0.1.10}\n",
     "mclagd.yaml:16: backup-paths[1].name: mgmt is the name of another path"},
    {"", "", "backup-paths:\n  - {name: peer-link, address: 10.0.0.9, peer: 10.0.0.10}\n",
     "mclagd.yaml:15: backup-paths[0].name: peer-link is the name of another path"},
    {"", "", "backup-paths:\n  - {name: \"two words\", address: 10.0.0.9, peer: 10.0.0.10}\n",
     "mclagd.yaml:15: backup-paths[0].name: two words is not a name of letters, digits, '.', '_' and '-', at "
     "most 31"},
    {"", "", "backup-paths:\n  - {name: mgmt, interface: pl, address: 10.0.0.9, peer: 10.0.0.10}\n",
     "mclagd.yaml:15: backup-paths[0].interface: pl is the peer link, which is no second way"},
    {"", "", "backup-paths:\n  - {name: mgmt, address: \"fe80::1\", peer: \"fe80::2\"}\n",
     "mclagd.yaml:15: backup-paths[0]: a link-local address wants an interface"},
    {"", "",
     "backup-paths:\n  - {name: p0, address: 10.0.0.1, peer: 10.0.0.2}\n  - {name: p1, address: 10.0.1.1, "
     "peer: 10.0.1.2}\n  - {name: p2, address: 10.0.2.1, peer: 10.0.2.2}\n  - {name: p3, address: 10.0.3.1, "
     "peer: 10.0.3.2}\n",
     "mclagd.yaml:14: backup-paths: more than 3 entries"},
    {"peer-pins: [sha256:0", "peer-pins: [sha256:x", "",
     "mclagd.yaml:12: keys.peer-pins[0]: sha256:x123456789abcdef0123456789abcdef0123456789abcdef01234 is not "
     "\"sha256:\" and 64 hex digits"},
    {"peer-pins: [sha256:0", "peer-pins: [sha256:", "",
     "mclagd.yaml:12: keys.peer-pins[0]: sha256:123456789abcdef0123456789abcdef0123456789abcdef012345 is not "
     "\"sha256:\" and 64 hex digits"},
    {PINS "\n  ", "", "",
     "mclagd.yaml:9: keys: the peer is known by exactly one of peer-pins, peer-pins-file, and ca with "
     "peer-name"},
    {"keys:", "keys:\n  ca: /ca\n  peer-name: x", "",
     "mclagd.yaml:9: keys: the peer is known by exactly one of peer-pins, peer-pins-file, and ca with "
     "peer-name"},
    {PINS, "ca: /ca.crt", "", "mclagd.yaml:9: keys: ca and peer-name go together"},
    {"key: /etc/mclagd/", "key: ", "", "mclagd.yaml:11: keys.key: leaf.key is not an absolute path"},
    {"key: /etc/mclagd/leaf.key", "key: \"/etc/\\n\"", "",
     "mclagd.yaml:11: keys.key: /etc/? is not an absolute path"},
    {"", "", "control-socket: /" X107 "\n",
     "mclagd.yaml:14: control-socket: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is not an "
     "absolute path of at most 107 bytes"},
    {"", "", "log: {level: loud}\n", "mclagd.yaml:14: log.level: loud is not error, warning, info or debug"},
    {"", "", "journal: {file: here}\n", "mclagd.yaml:14: journal.file: here is not an absolute path"},
    {"", "", "journal: {file: /j, size-mb: 0}\n", "mclagd.yaml:14: journal.size-mb: 0 is not 1..65536"},
    {"", "", "log: debug\n", "mclagd.yaml:14: log: expected a mapping of keys to values"},
    {"", "", "mclags: {id: 1}\n", "mclagd.yaml:14: mclags: expected a list"},
    {"  certificate", "  - certificate", "", "mclagd.yaml:11: did not find expected '-' indicator"},
};
/* clang-format on */

static void refused(void **state)
{
	(void)state;
	char *minimal = read_text(CONFIG_GOLDENS "/minimal.yaml");
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		char text[2048], why[SOURCE_WHY_SIZE] = "";
		const char *at = r->from ? strstr(minimal, r->from) : minimal;
		assert_non_null(at);
		const char *rest = r->from ? at + strlen(r->from) : "";
		snprintf(text, sizeof(text), "%.*s%s%s%s", (int)(at - minimal), minimal, r->to, rest, r->add);
		struct config *c = NULL;
		assert_int_equal(config_parse(&c, "mclagd.yaml", text, strlen(text), why), -EINVAL);
		assert_null(c);
		assert_string_equal(why, r->error);
	}
	free(minimal);
}

/* Is there a line that starts with one of these keys, whatever its indent? */
static bool has_key(const char *text, const char *key)
{
	size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *word = line + strspn(line, " -");
		if (strncmp(word, key, length) == 0 && word[length] == ':')
			return true;
	}
	return false;
}

static bool has_item(const char *manual, const char *key, size_t length)
{
	static const char item[] = "\n.It Cm ";
	for (const char *at = strstr(manual, item); at; at = strstr(at + 1, item)) {
		const char *word = at + strlen(item);
		if (strcspn(word, " \n") == length && strncmp(word, key, length) == 0)
			return true;
	}
	return false;
}

/* mclagd.yaml(5) has an item for each key there is, and for nothing else. */
static void documented(void **state)
{
	(void)state;
	static const char *const all[] = {"full", "two-pins", "pins-file"}; /* together they have every key */
	char *manual = read_text(MANUAL), *canonicals[3];
	size_t keys = 0, items = 0;
	for (size_t i = 0; i < 3; i++) {
		char file[512];
		snprintf(file, sizeof(file), "%s/%s.canonical", CONFIG_GOLDENS, all[i]);
		canonicals[i] = read_text(file);
		for (char *line = canonicals[i]; line;
		     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
			const char *word = line + strspn(line, " -");
			int length = (int)strspn(word, "abcdefghijklmnopqrstuvwxyz-");
			if (length == 0 || word[length] != ':' || strncmp(word, "sha256", 6) == 0)
				continue;
			keys++;
			if (!has_item(manual, word, (size_t)length))
				fail_msg("mclagd.yaml(5) says nothing of %.*s", length, word);
		}
	}
	for (const char *item = strstr(manual, "\n.It Cm "); item; item = strstr(item + 1, "\n.It Cm ")) {
		char key[64] = "";
		assert_int_equal(sscanf(item, "\n.It Cm %63s", key), 1);
		items++;
		if (!has_key(canonicals[0], key) && !has_key(canonicals[1], key) &&
		    !has_key(canonicals[2], key))
			fail_msg("mclagd.yaml(5) speaks of %s, which is no key", key);
	}
	assert_true(keys >= 100 && items >= 45);
	for (size_t i = 0; i < 3; i++)
		free(canonicals[i]);
	free(manual);
}

/* No prefix of a good file crashes the reader, and none but its last few bytes can be cut unnoticed. */
static void truncated(void **state)
{
	(void)state;
	char why[SOURCE_WHY_SIZE];
	char *text = read_text(CONFIG_GOLDENS "/full.yaml");
	size_t size = strlen(text), refused = 0;
	for (size_t cut = 0; cut < size; cut++) {
		struct config *c = NULL;
		char *part = malloc(cut ? cut : 1); /* of exactly that size: a read past it is found */
		assert_non_null(part);
		memcpy(part, text, cut);
		refused += config_parse(&c, "cut", part, cut, why) != 0;
		config_free(c);
		free(part);
	}
	assert_true(refused > size / 2);
	free(text);
}

/* A changed byte anywhere is refused with file and line, or read; it never crashes. */
static void damaged(void **state)
{
	(void)state;
	static const char junk[] = {0,   '\n', '\t', ':', '-', '{',    '[',   '"',
				    '&', '*',  '!',  '|', '%', '\x80', '\xff'};
	char why[SOURCE_WHY_SIZE];
	char *text = read_text(CONFIG_GOLDENS "/full.yaml");
	size_t size = strlen(text), refused = 0;
	for (size_t at = 0; at < size; at++)
		for (size_t j = 0; j < sizeof(junk); j++) {
			struct config *c = NULL;
			char was = text[at];
			text[at] = junk[j];
			if (config_parse(&c, "damaged", text, size, why) != 0) {
				assert_int_equal(strncmp(why, "damaged:", 8), 0);
				refused++;
			}
			config_free(c);
			text[at] = was;
		}
	assert_true(refused > size);
	free(text);
}

static void too_long(void **state)
{
	(void)state;
	char why[SOURCE_WHY_SIZE];
	struct config *c = NULL;
	char *text = malloc(SOURCE_SIZE_MAX + 1);
	assert_non_null(text);
	memset(text, '#', SOURCE_SIZE_MAX + 1);
	assert_int_equal(config_parse(&c, "long", text, SOURCE_SIZE_MAX + 1, why), -EINVAL);
	assert_string_equal(why, "long: 262145 bytes, more than 262144");
	assert_int_equal(config_parse(&c, "long", text, SOURCE_SIZE_MAX, why), -EINVAL);
	assert_string_equal(why, "long:2: empty");
	free(text);
}

static void not_there(void **state)
{
	(void)state;
	char why[SOURCE_WHY_SIZE];
	struct config *c = NULL;
	assert_int_equal(config_load(&c, "/nonexistent/mclagd.yaml", why), -ENOENT);
	assert_string_equal(why, "/nonexistent/mclagd.yaml: No such file or directory");
	assert_int_equal(config_load(&c, "/", why), -EISDIR);
	assert_null(c);
}

/* As many mclags as there may be. */
static void largest(void **state)
{
	(void)state;
	char *text = NULL, why[SOURCE_WHY_SIZE];
	size_t size;
	struct config *c = NULL;
	for (int count = CONFIG_MCLAGS_MAX; count <= CONFIG_MCLAGS_MAX + 1; count++) {
		FILE *f = open_memstream(&text, &size);
		assert_non_null(f);
		char *head = read_text(CONFIG_GOLDENS "/minimal.yaml");
		fputs(head, f);
		fputs("mclags:\n", f);
		for (int i = 1; i <= count; i++)
			fprintf(f, "  - {id: %d, port: po%d}\n", CONFIG_MCLAGS_MAX + 2 - i, i);
		fclose(f);
		int error = config_parse(&c, "large", text, size, why);
		if (count == CONFIG_MCLAGS_MAX) {
			assert_int_equal(error, 0);
			assert_int_equal(c->mclag_count, CONFIG_MCLAGS_MAX);
			assert_int_equal(c->mclags[0].id, 2); /* ascending */
			assert_string_equal(c->mclags[0].port, "po512");
			config_free(c);
		} else {
			assert_int_equal(error, -EINVAL);
			assert_non_null(strstr(why, ": mclags: more than 512 entries"));
		}
		free(head);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(goldens),   cmocka_unit_test(refused), cmocka_unit_test(documented),
	    cmocka_unit_test(truncated), cmocka_unit_test(damaged), cmocka_unit_test(too_long),
	    cmocka_unit_test(not_there), cmocka_unit_test(largest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
