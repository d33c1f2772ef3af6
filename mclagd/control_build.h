/* SPDX-License-Identifier: ISC */
/*
 * control_build.h - making control messages: everything in them is allocated, so that protobuf-c's
 * free_unpacked releases a whole one. Out of memory aborts.
 */
#ifndef MCLAGD_CONTROL_BUILD_H
#define MCLAGD_CONTROL_BUILD_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* An empty message of that kind. */
void *build_message(const ProtobufCMessageDescriptor *kind);
char *build_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Room for so many pointers (or numbers of 64 bits); NULL for 0. */
void *build_list(size_t count);
/* One more text at the end of a repeated string field. */
void build_line(char ***lines, size_t *count, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "a,b" as a repeated string field; "-" and "" are no words. */
void build_words(char ***words, size_t *count, const char *text);

#endif
