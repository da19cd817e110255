/* sweep-store DATA-ROOT: opens the store as the engine does at its start. */
#include <fcntl.h>
#include <stdio.h>

#include "store/store.h"

int main(int argc, char **argv)
{
	_autofree_(store) struct store *store = NULL;
	_autofree_(err) struct err *err = NULL;
	_autoclose_ int fd = open(argc > 1 ? argv[1] : "", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (store_open(fd, STORE_ENGINE, &store, &err) < 0) {
		fprintf(stderr, "%s\n", err_message(err));
		return 1;
	}
	return 0;
}
