/* SPDX-License-Identifier: ISC */
/*
 * ctl/json.h - a control message as JSON, by reflection: no view has JSON code of its own, and a new field in
 * control.proto is a new key without a line here.
 *
 * Keys are the field names. Every field is there, defaults included: an absent message is null, an empty list
 * [], a member of a oneof only when it is the one set. Enum values are their names in lower case, bytes are
 * hex. Numbers are integers; a uint64 past INT64_MAX (no counter gets there) is written as a string, for JSON
 * readers would round it.
 */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* A new reference. Strings that are no UTF-8 have their odd bytes replaced by '?'. Aborts without memory. */
json_t *json_of_message(const ProtobufCMessage *message);

#endif
