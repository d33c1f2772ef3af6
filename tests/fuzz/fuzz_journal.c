/* SPDX-License-Identifier: ISC */
/* A journal from anywhere: it is refused with a reason, or replayed, and the core stands whatever it says. */
#include <string.h>

#include "fuzz.h"
#include "mclagd/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[JOURNAL_WHY_SIZE] = "", *text = NULL;
	size_t said;
	FILE *in = fmemopen((void *)data, size, "rb"), *out = open_memstream(&text, &said);

	REQUIRE(out && (in || size == 0));
	if (in) {
		enum replay_result result = replay(in, "1.2.3", out, why);
		REQUIRE(memchr(why, 0, sizeof(why)));
		REQUIRE((result == REPLAY_UNUSABLE) == (why[0] != 0));
		fclose(in);
	}
	fclose(out);
	for (size_t i = 0; i < said; i++)
		REQUIRE(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
	for (const char *c = why; *c; c++)
		REQUIRE(*c >= ' ' && *c <= '~');
	free(text);
	return 0;
}
