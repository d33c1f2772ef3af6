/* SPDX-License-Identifier: ISC */
/*
 * proto/types.c - names, text and comparisons of the value types.
 *
 * Every enum's functions come from its list in types.h through TYPES_DEFINE; nothing here knows what a value
 * means. Text goes into the caller's buffer; parsers accept what the formatters print.
 */
#include "proto/types.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

TYPES_DEFINE(role, ROLES, ROLE_COUNT)
TYPES_DEFINE(session_state, SESSION_STATES, SESSION_STATE_COUNT)
TYPES_DEFINE(verdict, VERDICTS, VERDICT_COUNT)
TYPES_DEFINE(hold, HOLDS, HOLD_COUNT)
TYPES_DEFINE(leg_phase, LEG_PHASES, LEG_PHASE_COUNT)
TYPES_DEFINE(speaker, SPEAKERS, SPEAKER_COUNT)
TYPES_DEFINE(split_policy, SPLIT_POLICIES, SPLIT_POLICY_COUNT)
TYPES_DEFINE(place_kind, PLACE_KINDS, PLACE_KIND_COUNT)
TYPES_DEFINE(reason, REASONS, REASON_COUNT)

int types_find(const char *text, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

bool mac_equal(struct mac a, struct mac b)
{
	return mac_compare(a, b) == 0;
}

bool mac_is_zero(struct mac m)
{
	return mac_to_u64(m) == 0;
}

bool mac_is_multicast(struct mac m)
{
	return m.byte[0] & 1;
}

int mac_compare(struct mac a, struct mac b)
{
	return memcmp(a.byte, b.byte, sizeof(a.byte));
}

uint64_t mac_to_u64(struct mac m)
{
	uint64_t v = 0;

	for (size_t i = 0; i < sizeof(m.byte); i++)
		v = v << 8 | m.byte[i];
	return v;
}

struct mac mac_from_u64(uint64_t v)
{
	struct mac m;

	for (size_t i = sizeof(m.byte); i-- > 0; v >>= 8)
		m.byte[i] = (uint8_t)(v & 0xff);
	return m;
}

char *mac_format(struct mac m, char buf[static MAC_TEXT_SIZE])
{
	const uint8_t *b = m.byte;

	snprintf(buf, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *text, struct mac *m)
{
	struct mac parsed;
	const char *s = text;
	char separator = ':';

	for (size_t i = 0; i < sizeof(parsed.byte); i++) {
		if (i == 1 && *s == '-')
			separator = '-';
		if (i > 0 && *s++ != separator)
			return -EINVAL;
		int high = hex_digit(s[0]);
		int low = high < 0 ? -1 : hex_digit(s[1]);
		if (low < 0)
			return -EINVAL;
		parsed.byte[i] = (uint8_t)(high << 4 | low);
		s += 2;
	}
	if (*s)
		return -EINVAL;
	*m = parsed;
	return 0;
}

/* "a,c" for the bits 0 and 2 of names a, b, c; "-" for none. */
static char *bits_format(uint32_t bits, const char *const names[], size_t count, char *buf, size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "-");
	for (size_t i = 0; i < count && used < size; i++)
		if (bits & 1u << i)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? "," : "", names[i]);
	return buf;
}

char *hold_set_format(hold_set set, char *buf, size_t size)
{
	return bits_format(set, hold_names, HOLD_COUNT, buf, size);
}

char *lacp_state_format(uint8_t state, char buf[static LACP_STATE_TEXT_SIZE])
{
	static const char *const names[] = {"active",     "short",        "aggregation", "sync",
					    "collecting", "distributing", "defaulted",   "expired"};

	return bits_format(state, names, sizeof(names) / sizeof(names[0]), buf, LACP_STATE_TEXT_SIZE);
}
