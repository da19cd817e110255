/*
 * tared, the holder: it keeps what must outlive everything else. It owns the listening sockets, is parent and subreaper of
 * engine, monitors and workers, and replaces those that die. It parses no foreign byte: what it reads is its command line,
 * the engine's packets of spec/holder.h, and files that monitors wrote.
 */
#pragma once

/* The program; returns its exit status. */
int holder_main(int argc, char **argv);
