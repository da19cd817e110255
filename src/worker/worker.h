/*
 * tare-worker: one job, then the end. Descriptor 3 is the channel to the engine, which sends one message:
 *
 *   handover   (kinds load, import) a client with its socket: `ack`, and from then on the client is ours to answer
 *   job        (kind remove) trash/ is to be emptied
 *
 * What was done is told as `event {type, image, name}`; if the engine is gone by then, so be it: the store says the same.
 * A job that failed was answered to its client, and the worker still ends 0; any other end makes the engine sweep the store.
 */
#pragma once

int worker_main(int argc, char **argv);
