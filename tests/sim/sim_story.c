/* SPDX-License-Identifier: ISC */
/*
 * sim_story FILE.story: tells the story, and compares its trace with FILE.trace beside it.
 *
 * --bless writes the trace instead; the difference is then read in review, like code. --verbose prints the
 * trace with every decision (level debug), --detail what crosses the cores' seams as well.
 */
#include "sim/story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_SIZE 256
#define PATH_SIZE 512

static void cut_into_words(struct story *t, char *line)
{
	char *rest = NULL;

	line[strcspn(line, "#\n")] = '\0';
	t->count = 0;
	for (char *w = strtok_r(line, " \t", &rest); w && t->count < STORY_WORDS;
	     w = strtok_r(NULL, " \t", &rest))
		t->words[t->count++] = w;
}

static bool tell(struct story *t, FILE *file)
{
	char line[LINE_SIZE];
	bool good = true;

	while (good && fgets(line, sizeof line, file)) {
		t->line++;
		cut_into_words(t, line);
		if (t->count > 0)
			good = story_command(t);
	}
	return good;
}

/* Prints how `path` and the trace told differ. 0 = not at all. */
static int compare(const char *path, const char *told)
{
	int status, pipe_ends[2];

	if (pipe(pipe_ends))
		return -1;
	fflush(NULL);
	pid_t child = fork();
	if (child < 0)
		return -1;
	if (child == 0) {
		dup2(pipe_ends[0], STDIN_FILENO);
		close(pipe_ends[0]);
		close(pipe_ends[1]);
		execlp("diff", "diff", "-u", "--label", path, "--label", "told now", path, "-", (char *)NULL);
		_exit(127);
	}
	close(pipe_ends[0]);
	FILE *out = fdopen(pipe_ends[1], "w");
	if (!out)
		abort();
	fputs(told, out);
	fclose(out);
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int bless(const char *path, const char *told)
{
	FILE *out = fopen(path, "w");

	if (!out || fputs(told, out) < 0 || fclose(out)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	enum { COMPARE, BLESS, PRINT } what = COMPARE;
	struct story t = {0};
	char trace_path[PATH_SIZE];
	char *told = NULL;
	size_t size = 0;

	sim_config_defaults(&t.config);
	t.config.out_level = TRACE_INFO;
	for (int i = 1; i < argc; i++) {
		if (word_is(argv[i], "--bless")) {
			what = BLESS;
		} else if (word_is(argv[i], "--verbose") || word_is(argv[i], "--detail")) {
			what = PRINT;
			t.config.out_level = TRACE_DEBUG;
			t.config.detail = word_is(argv[i], "--detail");
		} else {
			t.file = argv[i];
		}
	}
	size_t length = t.file ? strlen(t.file) : 0;
	if (length < 7 || length >= PATH_SIZE || !word_is(t.file + length - 6, ".story")) {
		fprintf(stderr, "usage: %s [--bless|--verbose|--detail] FILE.story\n", argv[0]);
		return 2;
	}
	snprintf(trace_path, sizeof trace_path, "%.*s.trace", (int)length - 6, t.file);
	FILE *file = fopen(t.file, "r");
	if (!file) {
		fprintf(stderr, "%s: %s\n", t.file, strerror(errno));
		return 2;
	}
	FILE *out = what == PRINT ? stdout : open_memstream(&told, &size);
	if (!out)
		abort();
	t.config.out = out;
	bool good = tell(&t, file);
	fclose(file);
	fflush(out);
	if (what != PRINT)
		fclose(out);
	int result = good ? 0 : 1;
	if (!good)
		fprintf(stderr, "%s%s\n", what == PRINT ? "" : told, t.problem);
	else if (what == BLESS)
		result = bless(trace_path, told);
	else if (what == COMPARE)
		result = compare(trace_path, told) ? 1 : 0;
	if (t.sim)
		sim_release(t.sim);
	free(t.sim);
	free(told);
	return result;
}
