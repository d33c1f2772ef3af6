/* SPDX-License-Identifier: ISC */
/*
 * tests/fuzz/fuzz.h - what each fuzz_NAME.c defines, and libFuzzer or replay.c calls.
 *
 * The bytes may be anything. Returns 0; a rule that does not hold calls REQUIRE, which aborts.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer's name for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(rule)                                                                                        \
	do {                                                                                                 \
		if (!(rule)) {                                                                               \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #rule);            \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
