/*
 * tare-network: a helper that lives for one job, the only program besides monitors that changes the host's networks. Started by
 * tared, asked by the engine on descriptor 3:
 *
 *	job {kind: "network", owner, make: [BRIDGE...], remove: [NAME...]}    done, or error
 *
 * BRIDGE is a struct lease_bridge. A job that failed in the middle may be asked for again.
 */
#pragma once

int network_main(int argc, char **argv);
