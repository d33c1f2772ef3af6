/* SPDX-License-Identifier: ISC */
/*
 * ctl/json.c - walks a message along its descriptor.
 *
 * A field is found at its offset inside the C struct; a repeated one is a count (at the quantifier's offset)
 * and a pointer to elements laid end to end. Both ways end in value_of(), which looks at one element in
 * place.
 */
#include "ctl/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *must(json_t *value)
{
	if (value == NULL)
		abort();
	return value;
}

static json_t *text_of(const char *text)
{
	json_t *value = json_string(text);

	if (value != NULL)
		return value;
	/* Not UTF-8: keep what is plain ASCII. */
	char *plain = strdup(text);

	if (plain == NULL)
		abort();
	for (char *c = plain; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	value = must(json_string(plain));
	free(plain);
	return value;
}

static json_t *unsigned_of(uint64_t number)
{
	char text[24];

	if (number <= INT64_MAX)
		return must(json_integer((json_int_t)number));
	snprintf(text, sizeof(text), "%" PRIu64, number);
	return must(json_string(text));
}

static json_t *bytes_of(const ProtobufCBinaryData *bytes)
{
	char *hex = calloc(bytes->len + 1, 2);

	if (hex == NULL)
		abort();
	for (size_t i = 0; i < bytes->len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes->data[i]);
	json_t *value = must(json_string(hex));

	free(hex);
	return value;
}

static json_t *enum_of(const ProtobufCEnumDescriptor *descriptor, int number)
{
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, number);
	char name[64];
	size_t i = 0;

	if (found == NULL) /* from a newer daemon */
		return must(json_integer(number));
	for (; found->name[i] != '\0' && i < sizeof(name) - 1; i++)
		name[i] = (char)tolower((unsigned char)found->name[i]);
	name[i] = '\0';
	return must(json_string(name));
}

/* One element of a field's type, at `at`. */
static json_t *value_of(const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return must(json_integer(*(const int32_t *)at));
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return must(json_integer(*(const int64_t *)at));
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return unsigned_of(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return unsigned_of(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_FLOAT:
		return must(json_real((double)*(const float *)at));
	case PROTOBUF_C_TYPE_DOUBLE:
		return must(json_real(*(const double *)at));
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_of(field->descriptor, *(const int *)at);
	case PROTOBUF_C_TYPE_STRING:
		return text_of(*(char *const *)at == NULL ? "" : *(char *const *)at);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_of(at);
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *message = *(ProtobufCMessage *const *)at;

		return message == NULL ? json_null() : json_of_message(message);
	}
	}
	abort();
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	}
	abort();
}

static json_t *list_of(const ProtobufCFieldDescriptor *field, size_t count, const char *elements)
{
	json_t *list = must(json_array());

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, value_of(field, elements + i * size_of(field->type))) < 0)
			abort();
	return list;
}

json_t *json_of_message(const ProtobufCMessage *message)
{
	json_t *object = must(json_object());
	const char *base = (const char *)message;

	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *at = base + field->offset;
		const char *quantifier = base + field->quantifier_offset;
		json_t *value;

		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			if (*(const uint32_t *)(const void *)quantifier != field->id)
				continue;
			value = value_of(field, at);
		} else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			value = list_of(field, *(const size_t *)(const void *)quantifier,
					*(char *const *)(const void *)at);
		} else {
			value = value_of(field, at);
		}
		if (json_object_set_new(object, field->name, value) < 0)
			abort();
	}
	return object;
}
