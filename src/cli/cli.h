/* The command line: finds the command, reads its options, sees to what it needs, runs it, and tells its error. */
#pragma once

/* argv[0] is the program. Returns the exit code. */
int cli_main(int argc, char **argv);
