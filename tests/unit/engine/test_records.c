/* The databases: what is written is there after a new opening, events are told once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "engine/records.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000000"
#define ID_B "bbbb000000000000000000000000000000000000000000000000000000000000"

struct roots {
	char data[32];
	char exec[32];
	struct records *records;
};

static int set_up(void **state)
{
	struct roots *roots = calloc(1, sizeof(*roots));
	if (!roots)
		return -1;
	strcpy(roots->data, "/tmp/tare-records-XXXXXX");
	strcpy(roots->exec, "/tmp/tare-records-XXXXXX");
	if (!mkdtemp(roots->data) || !mkdtemp(roots->exec))
		return -1;
	*state = roots;
	return records_open(roots->data, roots->exec, &roots->records, NULL);
}

static int tear_down(void **state)
{
	struct roots *roots = *state;
	char command[128];
	records_free(roots->records);
	snprintf(command, sizeof(command), "rm -r %s %s", roots->data, roots->exec);
	int r = system(command);
	free(roots);
	return r;
}

static void reopen(struct roots *roots)
{
	records_free(roots->records);
	roots->records = NULL;
	assert_int_equal(records_open(roots->data, roots->exec, &roots->records, NULL), 0);
}

struct seen {
	size_t count;
	char name[64];
	char image[64];
	bool auto_remove, removing, was_started, stopped_by_user;
	int64_t acked_seq;
};

static int see(const struct record_row *row, void *user, struct err **reterr)
{
	struct seen *seen = user;
	struct container_record record = { 0 };
	(void)reterr;
	assert_int_equal(json_parse(&container_record_table, row->document, strlen(row->document), &record, NULL), 0);
	seen->count++;
	snprintf(seen->name, sizeof(seen->name), "%s", row->name);
	snprintf(seen->image, sizeof(seen->image), "%s", record.image_id);
	seen->auto_remove = row->auto_remove;
	seen->removing = row->removing;
	seen->was_started = row->marks.was_started;
	seen->stopped_by_user = row->marks.stopped_by_user;
	seen->acked_seq = row->acked_seq;
	json_finish(&container_record_table, &record);
	return 0;
}

static struct seen look(struct roots *roots)
{
	struct seen seen = { 0 };
	assert_int_equal(records_each_container(roots->records, see, &seen, NULL), 0);
	return seen;
}

static void test_container_life(void **state)
{
	struct roots *roots = *state;
	struct container_record record = { .image_id = (char *)"sha256:1" };
	assert_int_equal(records_add_container(roots->records, ID_A, "a", &record, NULL), 0);
	assert_int_equal(records_rename_container(roots->records, ID_A, "renamed", false, NULL), 0);
	const struct container_marks marks = { .was_started = true, .stopped_by_user = true };
	assert_int_equal(records_mark_container(roots->records, ID_A, false, &marks, NULL), 0);
	assert_int_equal(records_mark_removing(roots->records, ID_A, false, NULL), 0);
	reopen(roots);
	struct seen seen = look(roots);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.name, "renamed");
	assert_string_equal(seen.image, "sha256:1");
	assert_true(seen.was_started && seen.stopped_by_user && seen.removing && !seen.auto_remove);
	assert_int_equal(records_remove_container(roots->records, ID_A, false, NULL), 0);
	reopen(roots);
	assert_int_equal(look(roots).count, 0);
}

static void test_auto_remove_is_elsewhere(void **state)
{
	struct roots *roots = *state;
	struct container_record record = { .image_id = (char *)"sha256:1", .host = { .auto_remove = true } };
	char path[64];
	assert_int_equal(records_add_container(roots->records, ID_B, "b", &record, NULL), 0);
	reopen(roots);
	struct seen seen = look(roots);
	assert_true(seen.count == 1 && seen.auto_remove);
	/* A reboot: what is on tmpfs is gone. */
	records_free(roots->records);
	roots->records = NULL;
	static const char *const files[] = { "engine-run.db", "engine-run.db-wal", "engine-run.db-shm" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", roots->exec, files[i]);
		unlink(path);
	}
	assert_int_equal(records_open(roots->data, roots->exec, &roots->records, NULL), 0);
	assert_int_equal(look(roots).count, 0);
}

static int count_event(int64_t time_ns, const char *text, void *user)
{
	int64_t *last = user;
	(void)text;
	assert_true(time_ns > *last);
	*last = time_ns;
	return 0;
}

/* The journal is bounded, and the mark is written with the event. */
static void test_journal(void **state)
{
	struct roots *roots = *state;
	struct container_record record = { .image_id = (char *)"sha256:1" };
	int64_t last = 0;
	assert_int_equal(records_add_container(roots->records, ID_A, "a", &record, NULL), 0);
	for (int i = 1; i <= RECORDS_EVENTS_MAX + 1; i++)
		assert_int_equal(records_add_event(roots->records, i, "{}", ID_A, i, NULL), 0);
	reopen(roots);
	assert_int_equal(look(roots).acked_seq, RECORDS_EVENTS_MAX + 1);
	last = 1; /* the first one has gone */
	assert_int_equal(records_each_event(roots->records, count_event, &last, NULL), 0);
	assert_int_equal(last, RECORDS_EVENTS_MAX + 1);
}

static void test_identity(void **state)
{
	struct roots *roots = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;
	assert_int_equal(records_identity(roots->records, "one", &first, NULL), 0);
	reopen(roots);
	assert_int_equal(records_identity(roots->records, "two", &second, NULL), 0);
	assert_string_equal(first, "one");
	assert_string_equal(second, "one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_container_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_auto_remove_is_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
