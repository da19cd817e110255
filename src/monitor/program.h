/* The program tare-monitor: its command line, and the process around a struct monitor. */
#pragma once

/* Exit status: 0 when it was told to end, 1 when it could not begin or go on, 2 for a wrong command line. */
int program_main(int argc, char **argv);
