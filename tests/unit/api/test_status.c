/* Every kind of error has the status that Docker's clients expect. */
#include "../unit.h"
#include "api/request.h"

static void kinds_have_statuses(void **state)
{
	(void)state;
	static const struct {
		enum err_kind kind;
		int status;
	} kinds[] = {
		{ ERR_INTERNAL, 500 },
		{ ERR_INVALID, 400 },
		{ ERR_NOT_FOUND, 404 },
		{ ERR_CONFLICT, 409 },
		{ ERR_FORBIDDEN, 403 },
		{ ERR_UNAUTHORIZED, 401 },
		{ ERR_UNAVAILABLE, 503 },
		{ ERR_UNSUPPORTED, 501 },
		{ ERR_NOT_MODIFIED, 304 },
		{ ERR_TOO_LARGE, 413 },
		{ ERR_CMD_NOT_FOUND, 400 },
		{ ERR_CMD_NOT_EXEC, 400 },
	};
	assert_int_equal(sizeof kinds / sizeof *kinds, ERR_KIND_COUNT);
	for (size_t i = 0; i < ERR_KIND_COUNT; i++)
		assert_int_equal(respond_status_of(kinds[i].kind), kinds[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds_have_statuses) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
