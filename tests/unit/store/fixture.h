/* A store in a folder of its own, and images in it whose layers are empty folders. */
#pragma once

#include "store/image_add.h"
#include "store/job.h"
#include "store/layer.h"
#include "store/store.h"

struct fixture {
	char path[64];
	int root_fd;
	struct store *store;
};

/* For cmocka_unit_test_setup_teardown: *state becomes a struct fixture *. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Closes and opens the store as the engine does. */
void fixture_reopen(struct fixture *fixture);

/* A job in the middle of things as a killed worker leaves it: no lock, no clean-up. */
void fixture_abandon(struct job *job);

/* "sha256:" and 64 times the digit. Valid until the next few calls. */
const char *fixture_diff_id(char digit);

void fixture_make_layer(struct fixture *fixture, struct job *job, char digit);
/* An image of these layers ("abc": three), with names separated by blanks; its ID. */
void fixture_make_image(struct fixture *fixture, const char *layers, const char *author, const char *names,
	char ret_id[static STORE_DIGEST_SIZE]);

bool fixture_exists(struct fixture *fixture, const char *path);
unsigned fixture_count(struct fixture *fixture, const char *folder);
