/* SPDX-License-Identifier: ISC */
/* The session: the full matrix of states and events, and why a Hello is refused. */
#include "core/session.h"
#include "core_test.h"

struct fixture {
	struct session c;
	struct step s;
	struct domain_config config;
};

static struct hello hello_of(const struct domain_config *config)
{
	return (struct hello){
	    .version_min = 1,
	    .version_max = 1,
	    .domain = config->domain,
	    .node = config->node,
	    .boot_id = config->boot_id,
	    .priority = config->priority,
	    .system = config->system,
	    .system_priority = config->system_priority,
	};
}

static struct message peer_hello(void)
{
	struct domain_config config = config_for(2, NULL, 0);
	struct message m = {.kind = MESSAGE_HELLO};

	m.hello = hello_of(&config);
	return m;
}

static bool receive(struct fixture *f, enum message_kind kind)
{
	struct message m = {.kind = kind};

	if (kind == MESSAGE_HELLO)
		m = peer_hello();
	return session_message(&f->c, &f->s, &m, &f->config);
}

static void reach(struct fixture *f, enum session_state state)
{
	struct hello ours;

	memset(f, 0, sizeof *f);
	f->config = config_for(1, NULL, 0);
	step_at(&f->s, 1000);
	session_init(&f->c, &f->config);
	session_start(&f->c, &f->s);
	if (state >= SESSION_CONNECTING)
		session_path(&f->c, &f->s, 0, REASON_PATH_LOST);
	if (state >= SESSION_GREETING) {
		ours = hello_of(&f->config);
		session_opened(&f->c, &f->s, 0, &ours);
	}
	if (state >= SESSION_SYNCING)
		receive(f, MESSAGE_HELLO);
	if (state >= SESSION_UP)
		session_synced(&f->c, &f->s, true);
	assert_int_equal(f->c.state, state);
	step_at(&f->s, 1000);
}

enum happening {
	PATH,
	NO_PATH,
	OPENED,
	CLOSED,
	HELLO,
	OTHER,
	GARBAGE,
	SYNCED,
	UNSYNCED,
	SILENCE,
	HAPPENINGS
};

#define CELL(v) (SESSION_##v + 1)

static const int matrix[SESSION_STATE_COUNT][HAPPENINGS] = {
    [SESSION_DOWN] = {[PATH] = CELL(CONNECTING),
		      [NO_PATH] = CELL(DOWN),
		      [OPENED] = CELL(GREETING),
		      [CLOSED] = CELL(DOWN),
		      [HELLO] = CELL(DOWN),
		      [OTHER] = CELL(DOWN),
		      [GARBAGE] = CELL(DOWN),
		      [SYNCED] = CELL(DOWN),
		      [UNSYNCED] = CELL(DOWN),
		      [SILENCE] = CELL(DOWN)},
    [SESSION_CONNECTING] = {[PATH] = CELL(CONNECTING),
			    [NO_PATH] = CELL(DOWN),
			    [OPENED] = CELL(GREETING),
			    [CLOSED] = CELL(CONNECTING),
			    [HELLO] = CELL(CONNECTING),
			    [OTHER] = CELL(CONNECTING),
			    [GARBAGE] = CELL(CONNECTING),
			    [SYNCED] = CELL(CONNECTING),
			    [UNSYNCED] = CELL(CONNECTING),
			    [SILENCE] = CELL(CONNECTING)},
    [SESSION_GREETING] = {[PATH] = CELL(GREETING),
			  [NO_PATH] = CELL(DOWN),
			  [OPENED] = CELL(GREETING),
			  [CLOSED] = CELL(CONNECTING),
			  [HELLO] = CELL(SYNCING),
			  [OTHER] = CELL(CONNECTING),
			  [GARBAGE] = CELL(CONNECTING),
			  [SYNCED] = CELL(GREETING),
			  [UNSYNCED] = CELL(GREETING),
			  [SILENCE] = CELL(CONNECTING)},
    [SESSION_SYNCING] = {[PATH] = CELL(SYNCING),
			 [NO_PATH] = CELL(DOWN),
			 [OPENED] = CELL(GREETING),
			 [CLOSED] = CELL(CONNECTING),
			 [HELLO] = CELL(CONNECTING),
			 [OTHER] = CELL(SYNCING),
			 [GARBAGE] = CELL(CONNECTING),
			 [SYNCED] = CELL(UP),
			 [UNSYNCED] = CELL(SYNCING),
			 [SILENCE] = CELL(CONNECTING)},
    [SESSION_UP] = {[PATH] = CELL(UP),
		    [NO_PATH] = CELL(DOWN),
		    [OPENED] = CELL(GREETING),
		    [CLOSED] = CELL(CONNECTING),
		    [HELLO] = CELL(CONNECTING),
		    [OTHER] = CELL(UP),
		    [GARBAGE] = CELL(CONNECTING),
		    [SYNCED] = CELL(UP),
		    [UNSYNCED] = CELL(SYNCING),
		    [SILENCE] = CELL(CONNECTING)},
};

static void happen(struct fixture *f, enum happening h)
{
	struct hello ours = hello_of(&f->config);

	switch (h) {
	case PATH:
		session_path(&f->c, &f->s, 1, REASON_PATH_LOST);
		break;
	case NO_PATH:
		session_path(&f->c, &f->s, PATH_NONE, REASON_PATH_LOST);
		break;
	case OPENED:
		session_opened(&f->c, &f->s, 0, &ours);
		break;
	case CLOSED:
		session_closed(&f->c, &f->s, REASON_TRANSPORT);
		break;
	case HELLO:
		receive(f, MESSAGE_HELLO);
		break;
	case OTHER:
		receive(f, MESSAGE_LEG_STATE);
		break;
	case GARBAGE:
		session_violation(&f->c, &f->s);
		break;
	case SYNCED:
		session_synced(&f->c, &f->s, true);
		break;
	case UNSYNCED:
		session_synced(&f->c, &f->s, false);
		break;
	case SILENCE:
		step_at(&f->s, 1000 + 3000);
		session_timer(&f->c, &f->s);
		break;
	case HAPPENINGS:
		break;
	}
}

static void full_matrix(void **state)
{
	struct fixture f;

	(void)state;
	for (int from = 0; from < SESSION_STATE_COUNT; from++) {
		for (int h = 0; h < HAPPENINGS; h++) {
			assert_int_not_equal(matrix[from][h], 0); /* a hole */
			reach(&f, (enum session_state)from);
			happen(&f, (enum happening)h);
			if ((int)f.c.state != matrix[from][h] - 1)
				fail_msg("%s x event %d -> %s", session_state_name((enum session_state)from),
					 h, session_state_name(f.c.state));
			/* whatever ended a conversation also told the transport, unless the transport told us
			 */
			if (from >= SESSION_GREETING && f.c.state < SESSION_GREETING && h != CLOSED)
				assert_int_equal(count_actions(&f.s, ACTION_CLOSE), 1);
			step_release(&f.s);
		}
	}
}

static void hello_is_judged(void **state)
{
	static const struct {
		enum reason reason;
		size_t offset;
	} cases[] = {{REASON_VERSION, 0},
		     {REASON_DOMAIN, 1},
		     {REASON_NODE, 2},
		     {REASON_SYSTEM_ID, 3},
		     {REASON_SYSTEM_ID, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		struct message m = peer_hello();

		switch (cases[i].offset) {
		case 0:
			m.hello.version_min = m.hello.version_max = PROTOCOL_VERSION_MAX + 1;
			break;
		case 1:
			m.hello.domain++;
			break;
		case 2:
			m.hello.node = 1;
			break;
		case 3:
			m.hello.system = mac_number(1);
			break;
		default:
			m.hello.system_priority++;
			break;
		}
		reach(&f, SESSION_GREETING);
		assert_false(session_message(&f.c, &f.s, &m, &f.config));
		assert_int_equal(nth_action(&f.s, ACTION_CLOSE, 0)->reason, cases[i].reason);
		assert_int_equal(count_actions(&f.s, ACTION_ACCEPT), 0);
		assert_false(f.c.peer_known);
		step_release(&f.s);
	}
}

/* A message that was under way when the session closed must not arm its timer: nothing would ever stop it. */
static void late_message_arms_nothing(void **state)
{
	struct fixture f;

	(void)state;
	reach(&f, SESSION_UP);
	session_close(&f.c, &f.s, REASON_TIMEOUT);
	assert_false(receive(&f, MESSAGE_DIGEST));
	assert_true(msec_is_never(session_deadline(&f.c)));
	step_release(&f.s);
}

static void says_something_in_time(void **state)
{
	struct fixture f;

	(void)state;
	reach(&f, SESSION_UP);
	assert_int_equal(session_deadline(&f.c).ms, 2000);
	step_at(&f.s, 2000);
	assert_true(session_timer(&f.c, &f.s));
	assert_false(session_timer(&f.c, &f.s));
	step_release(&f.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(full_matrix),
	    cmocka_unit_test(hello_is_judged),
	    cmocka_unit_test(late_message_arms_nothing),
	    cmocka_unit_test(says_something_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
