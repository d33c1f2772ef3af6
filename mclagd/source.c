/* SPDX-License-Identifier: ISC */
/*
 * One pass of libyaml over the text, before libcyaml reads it: every key and list item gets a mark (path and
 * line), and what has no place in a configuration file is refused here. A path is written as an operator
 * would: "log.level", "mclags[3].id".
 */
#include "mclagd/source.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 6
#define MARKS_MAX 16384

struct mark {
	char *path;
	size_t line;
};

struct source {
	const char *name;
	const char *text;
	size_t size;
	struct mark *marks;
	size_t mark_count, mark_room;
};

/* The pass: source_open() owns it. */
struct walk {
	struct source *source;
	yaml_parser_t parser;
	char *why;
};

static int refuse_line(const struct source *s, char *why, size_t line, const char *text)
{
	snprintf(why, SOURCE_WHY_SIZE, "%s:%zu: %s", s->name, line, text);
	return -EINVAL;
}

static int refuse_event(const struct walk *w, const yaml_event_t *e, const char *text)
{
	return refuse_line(w->source, w->why, e->start_mark.line + 1, text);
}

static int add_mark(struct walk *w, const char *path, const yaml_event_t *e)
{
	struct source *s = w->source;
	if (s->mark_count == MARKS_MAX)
		return refuse_event(w, e, "more keys and values than any configuration has");
	if (s->mark_count == s->mark_room) {
		s->mark_room = s->mark_room ? 2 * s->mark_room : 64;
		s->marks = reallocarray(s->marks, s->mark_room, sizeof(*s->marks));
		if (!s->marks)
			abort();
	}
	char *copy = strdup(path);
	if (!copy)
		abort();
	s->marks[s->mark_count++] = (struct mark){copy, e->start_mark.line + 1};
	return 0;
}

/* The next event, to be given to yaml_event_delete(); on failure there is none. */
static int next(struct walk *w, yaml_event_t *e)
{
	if (yaml_parser_parse(&w->parser, e))
		return 0;
	const yaml_parser_t *p = &w->parser;
	size_t line = p->problem_mark.line + 1;
	if (p->error == YAML_READER_ERROR) /* bytes that are no UTF-8: libyaml knows the offset only */
		for (size_t i = 0; i < p->problem_offset && i < w->source->size; i++)
			line += w->source->text[i] == '\n';
	return refuse_line(w->source, w->why, line, p->problem ? p->problem : "no YAML");
}

static int check_scalar(const struct walk *w, const yaml_event_t *e)
{
	if (e->data.scalar.anchor || e->data.scalar.tag)
		return refuse_event(w, e, "anchors and tags are not used here");
	if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
		return refuse_event(w, e, "a value with a NUL byte in it");
	return 0;
}

static int walk_node(struct walk *w, const char *path, int depth, yaml_event_t *e);

static int walk_mapping(struct walk *w, const char *path, int depth)
{
	for (;;) {
		yaml_event_t key, value;
		char child[SOURCE_PATH_SIZE];
		int error = next(w, &key);
		if (error)
			return error;
		if (key.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&key);
			return 0;
		}
		if (key.type != YAML_SCALAR_EVENT)
			error = refuse_event(w, &key, "a key that is no plain word");
		else
			error = check_scalar(w, &key);
		if (!error) {
			snprintf(child, sizeof(child), "%s%s%.40s", path, path[0] ? "." : "",
				 (const char *)key.data.scalar.value);
			error = add_mark(w, child, &key);
		}
		yaml_event_delete(&key);
		if (error || (error = next(w, &value)))
			return error;
		error = walk_node(w, child, depth + 1, &value);
		if (error)
			return error;
	}
}

static int walk_sequence(struct walk *w, const char *path, int depth)
{
	for (size_t i = 0;; i++) {
		yaml_event_t item;
		char child[SOURCE_PATH_SIZE];
		int error = next(w, &item);
		if (error)
			return error;
		if (item.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&item);
			return 0;
		}
		snprintf(child, sizeof(child), "%.100s[%zu]", path, i);
		error = add_mark(w, child, &item);
		if (error) {
			yaml_event_delete(&item);
			return error;
		}
		error = walk_node(w, child, depth + 1, &item);
		if (error)
			return error;
	}
}

/* Takes over e. */
static int walk_node(struct walk *w, const char *path, int depth, yaml_event_t *e)
{
	yaml_event_type_t type = e->type;
	int error = 0;
	if (depth > DEPTH_MAX)
		error = refuse_event(w, e, "nested deeper than any configuration is");
	else if (type == YAML_SCALAR_EVENT)
		error = check_scalar(w, e);
	else if (type == YAML_ALIAS_EVENT)
		error = refuse_event(w, e, "aliases are not used here");
	else if (type == YAML_MAPPING_START_EVENT &&
		 (e->data.mapping_start.anchor || e->data.mapping_start.tag))
		error = refuse_event(w, e, "anchors and tags are not used here");
	else if (type == YAML_SEQUENCE_START_EVENT &&
		 (e->data.sequence_start.anchor || e->data.sequence_start.tag))
		error = refuse_event(w, e, "anchors and tags are not used here");
	yaml_event_delete(e);
	if (error)
		return error;
	if (type == YAML_MAPPING_START_EVENT)
		return walk_mapping(w, path, depth);
	if (type == YAML_SEQUENCE_START_EVENT)
		return walk_sequence(w, path, depth);
	return 0;
}

/* STREAM-START, DOCUMENT-START, the top mapping, DOCUMENT-END, STREAM-END and nothing else. */
static int walk_stream(struct walk *w)
{
	static const struct {
		yaml_event_type_t type;
		const char *otherwise;
	} frame[] = {
	    {YAML_STREAM_START_EVENT, "no YAML"},
	    {YAML_DOCUMENT_START_EVENT, "empty"},
	    {YAML_MAPPING_START_EVENT, "no mapping of keys to values"},
	    {YAML_DOCUMENT_END_EVENT, "no YAML"},
	    {YAML_STREAM_END_EVENT, "more than one document"},
	};
	for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
		yaml_event_t e;
		int error = next(w, &e);
		if (error)
			return error;
		if (e.type != frame[i].type) {
			error = refuse_event(w, &e, frame[i].otherwise);
			yaml_event_delete(&e);
		} else if (e.type == YAML_MAPPING_START_EVENT)
			error = walk_node(w, "", 0, &e);
		else
			yaml_event_delete(&e);
		if (error)
			return error;
	}
	return 0;
}

int source_open(struct source **s, const char *name, const char *text, size_t size,
		char why[static SOURCE_WHY_SIZE])
{
	struct source *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	*n = (struct source){.name = name, .text = text, .size = size};
	struct walk w = {.source = n, .why = why};
	int error = 0;
	if (size > SOURCE_SIZE_MAX) {
		snprintf(why, SOURCE_WHY_SIZE, "%s: %zu bytes, more than %d", name, size, SOURCE_SIZE_MAX);
		error = -EINVAL;
	} else {
		if (!yaml_parser_initialize(&w.parser))
			abort();
		yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, size);
		error = walk_stream(&w);
		yaml_parser_delete(&w.parser);
	}
	if (error) {
		source_close(n);
		return error;
	}
	*s = n;
	return 0;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->mark_count; i++)
		free(s->marks[i].path);
	free(s->marks);
	free(s);
}

const char *source_text(const struct source *s, size_t *size)
{
	*size = s->size;
	return s->text;
}

/* The line of path, or of what it is in; of a key given twice, the second. */
static size_t line_of(const struct source *s, const char *path)
{
	size_t best = 0, line = 1;
	for (size_t i = 0; i < s->mark_count; i++) {
		size_t length = strlen(s->marks[i].path);
		char after = strncmp(path, s->marks[i].path, length) == 0 ? path[length] : 'x';
		if (length >= best && (after == 0 || after == '.' || after == '[')) {
			best = length;
			line = s->marks[i].line;
		}
	}
	return line;
}

int source_refuse(const struct source *s, char why[static SOURCE_WHY_SIZE], const char *path,
		  const char *format, ...)
{
	va_list ap;
	int n = snprintf(why, SOURCE_WHY_SIZE, "%s:%zu: %s%s", s->name, line_of(s, path), path,
			 path[0] ? ": " : "");
	size_t used = n < 0 ? 0 : n < SOURCE_WHY_SIZE ? (size_t)n : SOURCE_WHY_SIZE - 1;
	va_start(ap, format);
	vsnprintf(why + used, SOURCE_WHY_SIZE - used, format, ap);
	va_end(ap);
	for (char *c = why; *c; c++) /* it goes into a log line */
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return -EINVAL;
}
