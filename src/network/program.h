/*
 * tare-network: a helper that lives for one job, the only program besides monitors that changes the host's networks. Started by
 * tared, asked by the engine on descriptor 3:
 *
 *	job {kind: "network", owner, rules: [BRIDGE...], make: [BRIDGE...], remove: [BRIDGE...]}    done, or error
 *
 * `rules` are all networks there are: the table (network/table.h) is made whole, with them and no others. A bridge comes up when its
 * rules are there, and goes before them.
 *
 * BRIDGE is a struct lease_bridge. A job that failed in the middle may be asked for again.
 */
#pragma once

int network_main(int argc, char **argv);
