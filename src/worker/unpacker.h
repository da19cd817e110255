/*
 * Unpacking beside others: unpack() in a process of its own. It is as trusted as its parent (it reads no foreign byte but to
 * hash it) and holds neither socket nor database: its input, a pipe to its parent, two folders, and a file for what it has to
 * say.
 *
 *	file ─→ feed ─→ [unpack: inflate, hash, extract] ─→ folder
 *
 * A file that still arrives is fed through a pipe: it is the buffer between network and unpacking, and pages go from it into
 * the pipe without being copied, as many as there is room for. A file that is whole is read by the process itself, which then
 * checks it first. What it has unpacked is on disk when it ends: the parent has others to look after meanwhile. If the parent
 * dies or frees it, it ends its children and then itself.
 */
#pragma once

#include "worker/unpack.h"

struct unpacker;

struct unpacker_options {
	int file_fd;   /* borrowed as long as it lives: filled by somebody else from its beginning, read from there */
	int folder_fd; /* borrowed for the call, as is empty_fd: see struct unpack */
	int empty_fd;
	/* A file that still arrives: */
	enum compression compression;
	int64_t size_bytes; /* that it will have */
	/* One that is whole: its position tells how far the process is. */
	bool whole;
	const char *digest; /* what it must be, if it is compressed; NULL: not said */
};

int unpacker_start(const struct unpacker_options *options, struct unpacker **ret, struct err **reterr);
/* Ends it in the middle: when this returns nobody writes into the folder any more. */
void unpacker_free(struct unpacker *unpacker);
DEFINE_AUTOFREE(unpacker, struct unpacker *, unpacker_free);

/* Passes on what the file has: its first `available` bytes. Never waits; after the last byte it closes the pipe. */
int unpacker_feed(struct unpacker *unpacker, int64_t available, struct err **reterr);
/* How far that is. */
int64_t unpacker_fed(const struct unpacker *unpacker);

/* To be polled: for writing, when there is more to feed (-1: nothing goes in any more); and for reading, for the end. */
int unpacker_input(const struct unpacker *unpacker);
int unpacker_end(const struct unpacker *unpacker);
/* Whether it has ended; then how. */
bool unpacker_has_ended(const struct unpacker *unpacker);
int unpacker_outcome(struct unpacker *unpacker, struct unpacked *ret, struct err **reterr);
