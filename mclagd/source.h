/* SPDX-License-Identifier: ISC */
/*
 * source.h - a YAML text and where everything stands in it, so that an error can name file, line and key.
 *
 * Checks what libcyaml lets pass: one document, a mapping at the top, plain keys, no anchors, aliases or
 * tags, no NUL inside a value, bounded size and depth. Knows nothing about which keys there are. Values are
 * read by schema.h.
 */
#ifndef MCLAGD_SOURCE_H
#define MCLAGD_SOURCE_H

#include <stddef.h>

#define SOURCE_SIZE_MAX  (256 * 1024) /* bytes of text */
#define SOURCE_PATH_SIZE 128          /* "mclags[511].port-priority" and the like */
#define SOURCE_WHY_SIZE  512          /* any text of source.h, schema.h and config.h fits, or is cut */

struct source;

/* name: for texts only; name and text are borrowed until source_close(). 0, or -EINVAL with why "NAME:LINE:
 * ...". */
int source_open(struct source **s, const char *name, const char *text, size_t size,
		char why[static SOURCE_WHY_SIZE]);
void source_close(struct source *s);
const char *source_text(const struct source *s, size_t *size);

/* Writes "NAME:LINE: PATH: TEXT" to why and returns -EINVAL. The line is that of the longest known part of
 * path. */
int source_refuse(const struct source *s, char why[static SOURCE_WHY_SIZE], const char *path,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
