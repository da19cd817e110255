/* contained FOLDER COMMAND...: runs a command with that folder as its root, contained; what chroot was for. */
#include <stdio.h>
#include <tare.h>

int main(int argc, char **argv)
{
	struct tare_options options = { .has_stdio = true, .stdio = { 0, 1, 2 } };
	struct tare_limits limits = { .memory_bytes = 256 << 20, .pids = 100 };
	struct tare_result result = { .exit_code = 125 };
	struct tare_error error;
	tare_container *container;

	if (argc < 3)
		return fprintf(stderr, "usage: contained FOLDER COMMAND...\n"), 125;
	tare_config *config = tare_config_new(argv[1]);
	tare_config_set_args(config, (const char *const *)&argv[2]);
	tare_config_set_limits(config, &limits);

	if (tare_container_create(config, &options, &container, &error) < 0 ||
		tare_container_start(container, &error) < 0 ||
		tare_process_wait(tare_container_init(container), -1, &result, &error) < 0)
		fprintf(stderr, "contained: %s\n", error.message);
	tare_container_free(container);
	tare_config_free(config);
	return result.exit_code;
}
