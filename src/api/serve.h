/* tare-engine, the program: options, the inherited descriptors, the loop. */
#pragma once

/* Returns the exit code. */
int serve_main(int argc, char **argv);
