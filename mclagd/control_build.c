/* SPDX-License-Identifier: ISC */
/*
 * control_build.c - protobuf-c's initializer and the heap.
 */
#include "mclagd/control_build.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

void *build_message(const ProtobufCMessageDescriptor *kind)
{
	ProtobufCMessage *message = must(calloc(1, kind->sizeof_message));

	protobuf_c_message_init(kind, message);
	return message;
}

char *build_text(const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	return text;
}

void *build_list(size_t count)
{
	return count == 0 ? NULL : must(calloc(count, sizeof(uint64_t)));
}

static void append(char ***lines, size_t *count, char *text)
{
	*lines = must(reallocarray(*lines, *count + 1, sizeof(**lines)));
	(*lines)[(*count)++] = text;
}

void build_line(char ***lines, size_t *count, const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	append(lines, count, text);
}

void build_words(char ***words, size_t *count, const char *text)
{
	if (strcmp(text, "-") == 0)
		return;
	while (*text != '\0') {
		size_t size = strcspn(text, ",");

		append(words, count, must(strndup(text, size)));
		text += size + (text[size] == ',');
	}
}
