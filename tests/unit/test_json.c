/* SPDX-License-Identifier: ISC */
/*
 * test_json.c - reflection over a message with a field of every type: set, unset, repeated, odd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/json.h"
#include "every_type.pb-c.h"

static void assert_json(const Mclag__Test__EveryType *message, const char *expected)
{
	json_error_t error;
	json_t *wanted = json_loads(expected, 0, &error);
	json_t *got = json_of_message(&message->base);

	if (wanted == NULL)
		fail_msg("the test's own JSON: %s at %d", error.text, error.position);
	if (!json_equal(wanted, got)) {
		char *text = json_dumps(got, JSON_INDENT(1));

		print_error("%s\n", text);
		free(text);
		fail();
	}
	json_decref(wanted);
	json_decref(got);
}

/* Defaults are there, absent messages are null, lists are empty, no member of the oneof. */
static void nothing_set(void **state)
{
	const Mclag__Test__EveryType m = MCLAG__TEST__EVERY_TYPE__INIT;

	(void)state;
	assert_json(&m,
		    "{\"int32\":0,\"sint32\":0,\"sfixed32\":0,\"int64\":0,\"sint64\":0,\"sfixed64\":0,"
		    "\"uint32\":0,\"fixed32\":0,\"uint64\":0,\"fixed64\":0,\"float\":0.0,\"double\":0.0,"
		    "\"bool\":false,\"colour\":\"light_red\",\"string\":\"\",\"bytes\":\"\",\"inner\":null,"
		    "\"bools\":[],\"numbers\":[],\"counts\":[],\"colours\":[],\"strings\":[],\"blobs\":[],"
		    "\"inners\":[]}");
}

static void everything_set(void **state)
{
	Mclag__Test__EveryType m = MCLAG__TEST__EVERY_TYPE__INIT;
	Mclag__Test__Inner one = MCLAG__TEST__INNER__INIT, two = MCLAG__TEST__INNER__INIT;
	Mclag__Test__Inner *inners[] = {&one, &two};
	protobuf_c_boolean bools[] = {1, 0};
	uint32_t numbers[] = {1, UINT32_MAX};
	uint64_t counts[] = {2, INT64_MAX};
	Mclag__Test__Colour colours[] = {MCLAG__TEST__COLOUR__DARK_BLUE, MCLAG__TEST__COLOUR__LIGHT_RED};
	char a[] = "a", b[] = "b \"quoted\"";
	char *strings[] = {a, b};
	uint8_t octets[] = {0x00, 0x0f, 0xff};
	ProtobufCBinaryData blobs[] = {{3, octets}, {0, NULL}};

	(void)state;
	one.number = 11;
	two.number = 12;
	m.int32 = INT32_MIN;
	m.sint32 = -2;
	m.sfixed32 = -3;
	m.int64 = INT64_MIN;
	m.sint64 = -5;
	m.sfixed64 = -6;
	m.uint32 = UINT32_MAX;
	m.fixed32 = 8;
	m.uint64 = INT64_MAX;
	m.fixed64 = 10;
	m.float_ = 0.5f;
	m.double_ = -0.25;
	m.bool_ = 1;
	m.colour = MCLAG__TEST__COLOUR__DARK_BLUE;
	m.string = b;
	m.bytes = blobs[0];
	m.inner = &one;
	m.bools = bools;
	m.numbers = numbers;
	m.counts = counts;
	m.colours = colours;
	m.strings = strings;
	m.blobs = blobs;
	m.inners = inners;
	m.n_bools = m.n_numbers = m.n_counts = m.n_colours = m.n_strings = m.n_blobs = m.n_inners = 2;
	m.choice_case = MCLAG__TEST__EVERY_TYPE__CHOICE_THAT;
	m.that = a;
	assert_json(
	    &m, "{\"int32\":-2147483648,\"sint32\":-2,\"sfixed32\":-3,\"int64\":-9223372036854775808,"
		"\"sint64\":-5,\"sfixed64\":-6,\"uint32\":4294967295,\"fixed32\":8,"
		"\"uint64\":9223372036854775807,\"fixed64\":10,\"float\":0.5,\"double\":-0.25,\"bool\":true,"
		"\"colour\":\"dark_blue\",\"string\":\"b \\\"quoted\\\"\",\"bytes\":\"000fff\","
		"\"inner\":{\"number\":11},\"bools\":[true,false],\"numbers\":[1,4294967295],"
		"\"counts\":[2,9223372036854775807],\"colours\":[\"dark_blue\",\"light_red\"],"
		"\"strings\":[\"a\",\"b \\\"quoted\\\"\"],\"blobs\":[\"000fff\",\"\"],"
		"\"inners\":[{\"number\":11},{\"number\":12}],\"that\":\"a\"}");
}

static void assert_member(const Mclag__Test__EveryType *m, const char *key, const char *expected)
{
	json_t *json = json_of_message(&m->base);
	char *text = json_dumps(json_object_get(json, key), JSON_ENCODE_ANY);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

/* What has no JSON number, no UTF-8 or no name still has a value. */
static void odd_values(void **state)
{
	Mclag__Test__EveryType m = MCLAG__TEST__EVERY_TYPE__INIT;
	char torn[] = "a\xff\xfe z";

	(void)state;
	m.uint64 = UINT64_MAX;
	m.colour = (Mclag__Test__Colour)5;
	m.string = torn;
	assert_member(&m, "uint64", "\"18446744073709551615\"");
	assert_member(&m, "colour", "5");
	assert_member(&m, "string", "\"a?? z\"");
	m.string = NULL;
	assert_member(&m, "string", "\"\"");
}

/* A oneof shows the member that is set, also when its value is the default. */
static void oneof(void **state)
{
	Mclag__Test__EveryType m = MCLAG__TEST__EVERY_TYPE__INIT;
	Mclag__Test__Inner inner = MCLAG__TEST__INNER__INIT;
	json_t *json;

	(void)state;
	m.choice_case = MCLAG__TEST__EVERY_TYPE__CHOICE_THIS;
	assert_member(&m, "this", "0");
	m.choice_case = MCLAG__TEST__EVERY_TYPE__CHOICE_OTHER;
	m.other = &inner;
	assert_member(&m, "other", "{\"number\": 0}");
	json = json_of_message(&m.base);
	assert_null(json_object_get(json, "this"));
	assert_null(json_object_get(json, "that"));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_set),
	    cmocka_unit_test(everything_set),
	    cmocka_unit_test(odd_values),
	    cmocka_unit_test(oneof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
