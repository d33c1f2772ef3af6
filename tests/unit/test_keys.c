/* SPDX-License-Identifier: ISC */
/*
 * test_keys.c - `mclagctl pki init`: the files of both leaves fit together, nothing is overwritten, and
 * nothing is left behind by a failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/keys.h"
#include "peerlink/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const FILES[] = {"cert.pem", "key.pem", "peer.pin", "keepalive.secret"};

static char directory[64], file[256], why[KEYS_WHY_SIZE];

static const char *at(int leaf, const char *name)
{
	snprintf(file, sizeof(file), "%s/keys/leaf%d/%s", directory, leaf, name);
	return file;
}

static const char *keys_directory(void)
{
	static char text[96];

	snprintf(text, sizeof(text), "%s/keys", directory);
	return text;
}

static int make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/mclagd-keys-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

/* Fails when there is more than the files of FILES. */
static int remove_directory(void **state)
{
	(void)state;
	for (int leaf = 1; leaf <= 2; leaf++) {
		for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
			unlink(at(leaf, FILES[i]));
		rmdir(at(leaf, ""));
	}
	rmdir(keys_directory());
	return rmdir(directory);
}

static int run(char **text)
{
	size_t size;
	FILE *out = open_memstream(text, &size);
	int result = keys_init(keys_directory(), out, why, sizeof(why));

	fclose(out);
	return result;
}

static void read_line(const char *path, char *text, size_t size)
{
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	assert_non_null(fgets(text, (int)size, stream));
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(fgetc(stream), EOF); /* one line */
	fclose(stream);
}

static unsigned mode_of(const char *path)
{
	struct stat there;

	assert_int_equal(lstat(path, &there), 0);
	return there.st_mode & 07777;
}

static void fit_together(void **state)
{
	char *text, line[128], certificate[256], key[256];
	struct secret secret[2];
	struct pin pin[2];

	(void)state;
	umask(0);
	assert_int_equal(run(&text), 0);
	for (int leaf = 1; leaf <= 2; leaf++) {
		struct tls *tls;
		struct pin told;

		assert_int_equal(mode_of(at(leaf, "key.pem")), 0600);
		assert_int_equal(mode_of(at(leaf, "keepalive.secret")), 0600);
		assert_int_equal(mode_of(at(leaf, "peer.pin")), 0644);
		assert_int_equal(mode_of(at(leaf, "")), 0700);
		assert_int_equal(
		    pki_read_secret(at(leaf, "keepalive.secret"), &secret[leaf - 1], why, sizeof(why)), 0);
		/* What it pins is the other leaf's certificate. */
		read_line(at(leaf, "peer.pin"), line, sizeof(line));
		assert_int_equal(pin_parse(line, &told), 0);
		assert_int_equal(pin_of_file(at(3 - leaf, "cert.pem"), &pin[leaf - 1], why, sizeof(why)), 0);
		assert_memory_equal(&told, &pin[leaf - 1], sizeof(told));
		/* And the session takes all of it. */
		snprintf(certificate, sizeof(certificate), "%s", at(leaf, "cert.pem"));
		snprintf(key, sizeof(key), "%s", at(leaf, "key.pem"));
		const struct tls_config config = {
		    .cert_file = certificate, .key_file = key, .pins = &told, .pin_count = 1};

		assert_int_equal(tls_create(&config, &tls, why, sizeof(why)), 0);
		tls_destroy(tls);
	}
	assert_memory_equal(&secret[0], &secret[1], sizeof(secret[0]));
	assert_memory_not_equal(&pin[0], &pin[1], sizeof(pin[0]));
	assert_non_null(strstr(text, "/keys/leaf2/* to /etc/mclagd/ on leaf 2"));
	assert_non_null(strstr(text, "  peer-pins-file: /etc/mclagd/peer.pin\n"));
	free(text);
}

static void nothing_overwritten(void **state)
{
	char *text, before[128], after[128];

	(void)state;
	assert_int_equal(run(&text), 0);
	free(text);
	read_line(at(1, "keepalive.secret"), before, sizeof(before));
	assert_int_equal(run(&text), -EEXIST);
	assert_string_equal(text, "");
	free(text);
	assert_non_null(strstr(why, "/keys/leaf1: is there already, not overwritten"));
	read_line(at(1, "keepalive.secret"), after, sizeof(after));
	assert_string_equal(before, after);
}

/* leaf2 is in the way: leaf1 is taken away again, leaf2 stays. */
static void nothing_left(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(mkdir(keys_directory(), 0700), 0);
	assert_int_equal(mkdir(at(2, ""), 0700), 0);
	int fd = open(at(2, "peer.pin"), O_CREAT | O_WRONLY, 0600);

	close(fd);
	assert_int_equal(run(&text), -EEXIST);
	free(text);
	assert_non_null(strstr(why, "/keys/leaf2: is there already, not overwritten"));
	assert_int_equal(access(at(1, ""), F_OK), -1);
	assert_int_equal(access(at(2, "peer.pin"), F_OK), 0);
}

static void nowhere(void **state)
{
	char deep[5000];

	(void)state;
	snprintf(deep, sizeof(deep), "%s/a/b", directory);
	assert_int_equal(keys_init(deep, stdout, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/a/b: No such file or directory"));
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(keys_init(deep, stdout, why, sizeof(why)), -ENAMETOOLONG);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    IN_DIRECTORY(fit_together),
	    IN_DIRECTORY(nothing_overwritten),
	    IN_DIRECTORY(nothing_left),
	    IN_DIRECTORY(nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
