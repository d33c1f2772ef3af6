/* SPDX-License-Identifier: ISC */
/*
 * tests/fuzz/replay.c - feeds the files of a directory to a fuzz target, one by one: the corpus as an
 * ordinary test, without libFuzzer. Fails when there is nothing to feed, and when a target aborts.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define FILE_LIMIT (1 << 20)

static int replay(const char *directory, const char *name)
{
	char path[4096];
	int rc = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return -1;
	uint8_t *bytes = malloc(FILE_LIMIT);
	FILE *f = fopen(path, "rb");
	if (!bytes || !f)
		goto out;
	size_t size = fread(bytes, 1, FILE_LIMIT, f);
	if (ferror(f) || size == FILE_LIMIT)
		goto out;
	/* The exact size: a sanitizer sees the first byte read too many. */
	uint8_t *exact = malloc(size ? size : 1);
	if (!exact)
		goto out;
	memcpy(exact, bytes, size);
	rc = LLVMFuzzerTestOneInput(exact, size);
	free(exact);
out:
	if (rc)
		fprintf(stderr, "%s: not replayed\n", path);
	if (f)
		fclose(f);
	free(bytes);
	return rc;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	size_t files = 0, failed = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s DIRECTORY (that can be read)\n", argv[0]);
		return 2;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		files++;
		failed += replay(argv[1], entry->d_name) != 0;
	}
	closedir(dir);
	printf("%zu files, %zu failed\n", files, failed);
	return files == 0 || failed != 0;
}
