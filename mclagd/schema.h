/* SPDX-License-Identifier: ISC */
/*
 * schema.h - a YAML mapping read into a plain struct by a table of keys, and written back in canonical form.
 *
 * The table is everything: which keys there are, where their values go, what is accepted, and what holds when
 * a key is missing. libcyaml reads the text against a schema made from it; the rows here add what libcyaml
 * cannot say: ranges, defaults, and errors in the operator's words. What depends on more than one key is the
 * caller's.
 */
#ifndef MCLAGD_SCHEMA_H
#define MCLAGD_SCHEMA_H

#include "mclagd/source.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum key_kind {
	KEY_NUMBER,  /* an integer of 1, 2, 4 or 8 bytes, decimal */
	KEY_CHOICE,  /* one of some words; the member (enum or bool) gets its index */
	KEY_MAC,     /* struct mac, unicast and not zero; zero = absent */
	KEY_TEXT,    /* char array; "" = absent */
	KEY_TEXTS,   /* list of texts: array of char arrays and a size_t */
	KEY_MAPPING, /* a struct */
	KEY_LIST,    /* list of mappings: array of structs and a size_t */
};

/* One row. An array of rows ends with one whose name is NULL. */
struct key {
	const char *name;
	enum key_kind kind;
	bool required;
	size_t offset, size; /* of the member; of one element in TEXTS and LIST */
	size_t count_offset; /* TEXTS, LIST */
	size_t max_count;
	int64_t min, max;           /* NUMBER */
	int64_t fallback;           /* NUMBER, CHOICE: when missing; a NUMBER outside min..max = absent */
	const char *zero_word;      /* NUMBER: this word may be written for 0, and 0 may not */
	const char *const *choices; /* CHOICE: max + 1 words */
	const char *text;           /* TEXT: when missing; NULL = "" */
	bool (*valid)(const char *text); /* TEXT, TEXTS */
	const char *expected;   /* TEXT, TEXTS: what valid() accepts, in words: "an interface name" */
	const struct key *keys; /* MAPPING, LIST */
};

/* Fills the struct at out, all of it that the table names. 0, or -EINVAL with why "NAME:LINE: PATH: ..." and
 * out half-filled. */
int schema_read(const struct key *keys, const struct source *source, void *out,
		char why[static SOURCE_WHY_SIZE]);

/* Every value that is not absent, in the order of the table. What it writes reads back to the same struct. */
void schema_write(const struct key *keys, const void *in, FILE *file);

#endif
