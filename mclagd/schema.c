/* SPDX-License-Identifier: ISC */
/*
 * Reading is two steps. libcyaml turns the text into slots, one per row of the table: a string, or more
 * slots. It checks what keys and shapes there may be, and reports through its log, which is collected and put
 * into the operator's words (explain). Then convert() takes each slot through its row into the caller's
 * struct.
 */
#include "mclagd/schema.h"

#include "proto/types.h"
#include <cyaml/cyaml.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED_SIZE 160
#define SCHEMA_ROWS   128 /* rows and end marks of all tables, for libcyaml's schema */
#define BACKTRACE_MAX 8

/* What libcyaml writes for one row: a string, an array of strings, or one or more mappings of slots. */
struct slot {
	char *data;
	uint64_t count; /* lists only */
};

/* libcyaml's form of the tables, alive while its functions work. */
struct cyaml_form {
	struct cyaml_schema_value entries[SCHEMA_ROWS]; /* of lists */
	struct cyaml_schema_field fields[SCHEMA_ROWS];
	size_t entry_count, field_count;
};

/* What libcyaml's log said: the message, then where, innermost first. */
struct complaint {
	char text[160];
	char where[BACKTRACE_MAX][64];
	size_t where_count;
};

static size_t key_count(const struct key *keys)
{
	size_t n = 0;
	while (keys[n].name)
		n++;
	return n;
}

/* --- from the table to libcyaml's schema ------------------------------------------------------------- */

static struct cyaml_schema_value string_value(void)
{
	return (struct cyaml_schema_value){.type = CYAML_STRING,
					   .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
					   .data_size = sizeof(char),
					   .string = {.min = 0, .max = SOURCE_SIZE_MAX}};
}

static struct cyaml_schema_value mapping_value(struct cyaml_form *form, const struct key *keys,
					       enum cyaml_flag flags);

static struct cyaml_schema_value list_value(struct cyaml_form *form, const struct key *key)
{
	struct cyaml_schema_value *entry = &form->entries[form->entry_count++];
	if (form->entry_count > SCHEMA_ROWS)
		abort();
	if (key->kind == KEY_LIST) {
		*entry = mapping_value(form, key->keys, CYAML_FLAG_DEFAULT);
	} else {
		*entry = string_value();
		entry->flags = CYAML_FLAG_POINTER;
	}
	return (struct cyaml_schema_value){.type = CYAML_SEQUENCE,
					   .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
					   .data_size = entry->type == CYAML_STRING ? sizeof(char *)
										    : entry->data_size,
					   .sequence = {.entry = entry, .max = (uint32_t)key->max_count}};
}

static struct cyaml_schema_value key_value(struct cyaml_form *form, const struct key *key)
{
	switch (key->kind) {
	case KEY_NUMBER:
	case KEY_CHOICE:
	case KEY_MAC:
	case KEY_TEXT:
		break;
	case KEY_MAPPING:
		return mapping_value(form, key->keys, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL);
	case KEY_TEXTS:
	case KEY_LIST:
		return list_value(form, key);
	}
	return string_value();
}

static struct cyaml_schema_value mapping_value(struct cyaml_form *form, const struct key *keys,
					       enum cyaml_flag flags)
{
	size_t count = key_count(keys);
	struct cyaml_schema_field *fields = &form->fields[form->field_count];
	form->field_count += count + 1; /* the end mark stays zero */
	if (form->field_count > SCHEMA_ROWS)
		abort();
	for (size_t i = 0; i < count; i++)
		fields[i] = (struct cyaml_schema_field){
		    .key = keys[i].name,
		    .data_offset = (uint32_t)(i * sizeof(struct slot)),
		    .count_offset = (uint32_t)(i * sizeof(struct slot) + offsetof(struct slot, count)),
		    .count_size = sizeof(uint64_t),
		    .value = key_value(form, &keys[i])};
	return (struct cyaml_schema_value){.type = CYAML_MAPPING,
					   .flags = flags,
					   .data_size = (uint32_t)(count * sizeof(struct slot)),
					   .mapping = {.fields = fields}};
}

/* --- libcyaml's words into the operator's ------------------------------------------------------------ */

static void collect(cyaml_log_t level, void *context, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void collect(cyaml_log_t level, void *context, const char *format, va_list ap)
{
	struct complaint *c = context;
	char line[160];
	(void)level;
	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = 0;
	const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
	if (strncmp(text, "  in ", 5) == 0) {
		if (c->where_count < BACKTRACE_MAX)
			snprintf(c->where[c->where_count++], sizeof(c->where[0]), "%.63s", text + 5);
	} else if (!c->text[0] && strcmp(text, "Backtrace:") != 0) {
		snprintf(c->text, sizeof(c->text), "%s", text);
	}
}

/* "mclags[2].id" from the backtrace "mapping field 'id'", "sequence entry '3'", "mapping field 'mclags'". */
static void backtrace_path(const struct complaint *c, char path[static SOURCE_PATH_SIZE])
{
	size_t used = 0;
	path[0] = 0;
	for (size_t i = c->where_count; i-- > 0 && used < SOURCE_PATH_SIZE - 1;) {
		char name[48];
		unsigned entry;
		int n = 0;
		if (sscanf(c->where[i], "mapping field '%47[^']'", name) == 1)
			n = snprintf(path + used, SOURCE_PATH_SIZE - used, "%s%s", used ? "." : "", name);
		else if (sscanf(c->where[i], "sequence entry '%u'", &entry) == 1 && entry > 0)
			n = snprintf(path + used, SOURCE_PATH_SIZE - used, "[%u]", entry - 1);
		used += n > 0 ? (size_t)n : 0;
	}
}

/* The table at path, which is a mapping of one. */
static const struct key *table_at(const struct key *keys, const char *path)
{
	while (*path) {
		size_t length = strcspn(path, ".[");
		while (keys->name && (strlen(keys->name) != length || strncmp(keys->name, path, length) != 0))
			keys++;
		if (!keys->name || !keys->keys)
			return NULL;
		keys = keys->keys;
		path += length;
		path += strcspn(path, ".");
		path += *path == '.';
	}
	return keys;
}

static void list_keys(const struct key *keys, char *text, size_t size)
{
	size_t used = 0;
	text[0] = 0;
	for (; keys && keys->name && used < size; keys++) {
		const char *between = !used ? "" : keys[1].name ? ", " : " or ";
		int n = snprintf(text + used, size - used, "%s%s", between, keys->name);
		used += n > 0 ? (size_t)n : 0;
	}
}

static int explain(const struct source *s, const struct key *keys, const struct complaint *c,
		   const char *otherwise, char *why)
{
	char path[SOURCE_PATH_SIZE], full[2 * SOURCE_PATH_SIZE], known[320], name[48];
	unsigned max;
	backtrace_path(c, path);
	if (sscanf(c->text, "Unexpected key: %47s", name) == 1) {
		list_keys(table_at(keys, path), known, sizeof(known));
		snprintf(full, sizeof(full), "%s%s%s", path, path[0] ? "." : "", name);
		return source_refuse(s, why, full, "unknown key, expected %s", known);
	}
	if (strncmp(c->text, "Mapping field already seen", 26) == 0)
		return source_refuse(s, why, path, "given twice");
	if (strncmp(c->text, "Expecting STRING", 16) == 0)
		return source_refuse(s, why, path, "expected one value");
	if (strncmp(c->text, "Expecting MAPPING", 17) == 0)
		return source_refuse(s, why, path, "expected a mapping of keys to values");
	if (strncmp(c->text, "Expecting SEQUENCE", 18) == 0)
		return source_refuse(s, why, path, "expected a list");
	if (sscanf(c->text, "Excessive entries (%u max)", &max) == 1) {
		path[strcspn(path, "[")] = 0;
		return source_refuse(s, why, path, "more than %u entries", max);
	}
	return source_refuse(s, why, path, "%s", c->text[0] ? c->text : otherwise);
}

/* --- from slots to the struct ------------------------------------------------------------------------ */

struct reader {
	const struct source *source;
	char *why;
};

static void expected(const struct key *key, char text[static EXPECTED_SIZE])
{
	size_t used = 0;
	text[0] = 0;
	switch (key->kind) {
	case KEY_NUMBER:
		snprintf(text, EXPECTED_SIZE, "%" PRId64 "..%" PRId64 "%s%s", key->min, key->max,
			 key->zero_word ? " or " : "", key->zero_word ? key->zero_word : "");
		break;
	case KEY_CHOICE:
		for (int64_t i = 0; i <= key->max && used < EXPECTED_SIZE; i++) {
			const char *between = i == 0 ? "" : i == key->max ? " or " : ", ";
			int n = snprintf(text + used, EXPECTED_SIZE - used, "%s%s", between, key->choices[i]);
			used += n > 0 ? (size_t)n : 0;
		}
		break;
	case KEY_MAC:
		snprintf(text, EXPECTED_SIZE, "a unicast MAC address such as 02:00:00:00:00:01");
		break;
	case KEY_TEXT:
	case KEY_TEXTS:
		snprintf(text, EXPECTED_SIZE, "%s", key->expected);
		break;
	case KEY_MAPPING:
		snprintf(text, EXPECTED_SIZE, "a mapping of keys to values");
		break;
	case KEY_LIST:
		snprintf(text, EXPECTED_SIZE, "a list");
		break;
	}
}

static int refuse_value(const struct reader *r, const struct key *key, const char *path, const char *value)
{
	char text[EXPECTED_SIZE];
	expected(key, text);
	if (!value)
		return source_refuse(r->source, r->why, path, "missing, expected %s", text);
	return source_refuse(r->source, r->why, path, value[0] ? "%.60s is not %s" : "empty%s, expected %s",
			     value[0] ? value : "", text);
}

static void store(const struct key *key, char *to, int64_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;
	switch (key->size) {
	case 1:
		memcpy(to, &u8, 1);
		return;
	case 2:
		memcpy(to, &u16, 2);
		return;
	case 4:
		memcpy(to, &u32, 4);
		return;
	default:
		memcpy(to, &value, sizeof(value));
	}
}

static int64_t fetch(const struct key *key, const char *from)
{
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	int64_t value;
	switch (key->size) {
	case 1:
		memcpy(&u8, from, 1);
		return u8;
	case 2:
		memcpy(&u16, from, 2);
		return u16;
	case 4:
		memcpy(&u32, from, 4);
		return u32;
	default:
		memcpy(&value, from, sizeof(value));
		return value;
	}
}

static int read_number(const struct reader *r, const struct key *key, const char *value, const char *path,
		       char *to)
{
	if (key->zero_word && strcmp(value, key->zero_word) == 0) {
		store(key, to, 0);
		return 0;
	}
	char *end;
	errno = 0;
	long long number = strtoll(value, &end, 10);
	bool decimal =
	    strspn(value, "0123456789") == strlen(value) && value[0] && (value[0] != '0' || !value[1]);
	if (!decimal || errno || number < key->min || number > key->max)
		return refuse_value(r, key, path, value);
	store(key, to, number);
	return 0;
}

static int read_choice(const struct reader *r, const struct key *key, const char *value, const char *path,
		       char *to)
{
	for (int64_t i = 0; i <= key->max; i++)
		if (strcmp(value, key->choices[i]) == 0) {
			store(key, to, i);
			return 0;
		}
	return refuse_value(r, key, path, value);
}

static int read_mac(const struct reader *r, const struct key *key, const char *value, const char *path,
		    char *to)
{
	struct mac mac;
	if (mac_parse(value, &mac) || mac_is_multicast(mac) || mac_is_zero(mac))
		return refuse_value(r, key, path, value);
	memcpy(to, &mac, sizeof(mac));
	return 0;
}

static int read_text(const struct reader *r, const struct key *key, const char *value, const char *path,
		     char *to)
{
	if (strlen(value) >= key->size || !key->valid(value))
		return refuse_value(r, key, path, value);
	strncpy(to, value, key->size); /* fills the rest with zeros */
	return 0;
}

/* Row by row; slots NULL = the whole mapping is missing. */
static int read_mapping(const struct reader *r, const struct key *keys, const struct slot *slots,
			const char *path, char *out);

static int read_list(const struct reader *r, const struct key *key, const struct slot *slot, const char *path,
		     char *out)
{
	size_t count = slot->data ? slot->count : 0;
	for (size_t i = 0; i < count; i++) {
		char child[SOURCE_PATH_SIZE], *to = out + key->offset + i * key->size;
		snprintf(child, sizeof(child), "%.100s[%zu]", path, i);
		int error;
		if (key->kind == KEY_TEXTS)
			error = read_text(r, key, ((char **)(void *)slot->data)[i], child, to);
		else
			error = read_mapping(r, key->keys,
					     (const struct slot *)(const void *)slot->data +
						 i * key_count(key->keys),
					     child, to);
		if (error)
			return error;
	}
	memcpy(out + key->count_offset, &count, sizeof(count));
	return 0;
}

static void set_default(const struct key *key, char *to)
{
	switch (key->kind) {
	case KEY_NUMBER:
	case KEY_CHOICE:
		store(key, to, key->fallback);
		return;
	case KEY_TEXT:
		strncpy(to, key->text ? key->text : "", key->size);
		return;
	case KEY_MAC:
		memset(to, 0, key->size);
		return;
	case KEY_TEXTS:
	case KEY_MAPPING:
	case KEY_LIST:
		return; /* made of the above */
	}
}

static int read_key(const struct reader *r, const struct key *key, const struct slot *slot, const char *path,
		    char *out)
{
	char *to = out + key->offset;
	if (!slot->data && key->required)
		return refuse_value(r, key, path, NULL);
	if (!slot->data)
		set_default(key, to);
	switch (key->kind) {
	case KEY_NUMBER:
		return slot->data ? read_number(r, key, slot->data, path, to) : 0;
	case KEY_CHOICE:
		return slot->data ? read_choice(r, key, slot->data, path, to) : 0;
	case KEY_MAC:
		return slot->data ? read_mac(r, key, slot->data, path, to) : 0;
	case KEY_TEXT:
		return slot->data ? read_text(r, key, slot->data, path, to) : 0;
	case KEY_TEXTS:
	case KEY_LIST:
		return read_list(r, key, slot, path, out);
	case KEY_MAPPING:
		return read_mapping(r, key->keys, (const struct slot *)(const void *)slot->data, path, to);
	}
	return -EINVAL;
}

static int read_mapping(const struct reader *r, const struct key *keys, const struct slot *slots,
			const char *path, char *out)
{
	static const struct slot missing;
	for (size_t i = 0; keys[i].name; i++) {
		char child[SOURCE_PATH_SIZE];
		snprintf(child, sizeof(child), "%.80s%s%s", path, path[0] ? "." : "", keys[i].name);
		int error = read_key(r, &keys[i], slots ? &slots[i] : &missing, child, out);
		if (error)
			return error;
	}
	return 0;
}

int schema_read(const struct key *keys, const struct source *source, void *out,
		char why[static SOURCE_WHY_SIZE])
{
	struct cyaml_form form = {0};
	struct complaint complaint = {0};
	struct cyaml_schema_value top = mapping_value(&form, keys, CYAML_FLAG_POINTER);
	const cyaml_config_t config = {.log_fn = collect,
				       .log_ctx = &complaint,
				       .mem_fn = cyaml_mem,
				       .log_level = CYAML_LOG_ERROR,
				       .flags = CYAML_CFG_NO_ALIAS};
	size_t size;
	const char *text = source_text(source, &size);
	void *slots = NULL;
	cyaml_err_t failed = cyaml_load_data((const uint8_t *)text, size, &config, &top, &slots, NULL);
	if (failed)
		return explain(source, keys, &complaint, cyaml_strerror(failed), why);
	struct reader r = {.source = source, .why = why};
	int error = read_mapping(&r, keys, slots, "", out);
	cyaml_free(&config, &top, slots, 0);
	return error;
}

/* --- canonical form ---------------------------------------------------------------------------------- */

static void write_text(const char *text, FILE *file)
{
	size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:-");
	if (text[0] && !text[plain] && !strchr(".:-", text[0]) && text[plain - 1] != ':') {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++)
		fprintf(file, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	fputc('"', file);
}

static bool is_absent(const struct key *key, const char *in)
{
	static const char zero[8];
	size_t count;
	switch (key->kind) {
	case KEY_NUMBER:
		return !key->zero_word && (fetch(key, in + key->offset) < key->min);
	case KEY_MAC:
		return memcmp(in + key->offset, zero, sizeof(struct mac)) == 0;
	case KEY_TEXT:
		return in[key->offset] == 0;
	case KEY_TEXTS:
	case KEY_LIST:
		memcpy(&count, in + key->count_offset, sizeof(count));
		return count == 0;
	case KEY_CHOICE:
	case KEY_MAPPING:
		return false;
	}
	return false;
}

static void write_mapping(const struct key *keys, const char *in, int indent, bool item, FILE *file);

static void write_list(const struct key *key, const char *in, int indent, FILE *file)
{
	size_t count;
	memcpy(&count, in + key->count_offset, sizeof(count));
	fputc('\n', file);
	for (size_t i = 0; i < count; i++) {
		const char *element = in + key->offset + i * key->size;
		fprintf(file, "%*s- ", indent, "");
		if (key->kind == KEY_LIST) {
			write_mapping(key->keys, element, indent + 2, true, file);
		} else {
			write_text(element, file);
			fputc('\n', file);
		}
	}
}

static void write_key(const struct key *key, const char *in, int indent, FILE *file)
{
	const char *from = in + key->offset;
	char mac[MAC_TEXT_SIZE];
	struct mac m;
	int64_t number;
	switch (key->kind) {
	case KEY_NUMBER:
		number = fetch(key, from);
		if (key->zero_word && number == 0)
			fprintf(file, " %s\n", key->zero_word);
		else
			fprintf(file, " %" PRId64 "\n", number);
		return;
	case KEY_CHOICE:
		fprintf(file, " %s\n", key->choices[fetch(key, from)]);
		return;
	case KEY_MAC:
		memcpy(&m, from, sizeof(m));
		fprintf(file, " %s\n", mac_format(m, mac));
		return;
	case KEY_TEXT:
		fputc(' ', file);
		write_text(from, file);
		fputc('\n', file);
		return;
	case KEY_MAPPING:
		fputc('\n', file);
		write_mapping(key->keys, from, indent + 2, false, file);
		return;
	case KEY_TEXTS:
	case KEY_LIST:
		write_list(key, in, indent + 2, file);
		return;
	}
}

/* item: the first key stands behind the dash of a list. */
static void write_mapping(const struct key *keys, const char *in, int indent, bool item, FILE *file)
{
	for (; keys->name; keys++) {
		if (is_absent(keys, in))
			continue;
		fprintf(file, "%*s%s:", item ? 0 : indent, "", keys->name);
		write_key(keys, in, indent, file);
		item = false;
	}
}

void schema_write(const struct key *keys, const void *in, FILE *file)
{
	write_mapping(keys, in, 0, false, file);
}
