#include "sys/shaping.h"

#include <endian.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <sys/socket.h>

/* What may go at once: 10 ms of it, and at least two of the largest packets that a link of 1,500 bytes has. Larger ones, which the kernel
 * has not cut yet, are cut by the bucket. */
#define BURST_PER_S 100
#define BURST_MIN   4096
#define BURST_MAX   (16 * 1024 * 1024)
/* What may wait: 50 ms of it, and at least what a window of TCP that only begins has. More is only delay. */
#define WAITING_PER_S 20
#define WAITING_MIN   (16 * 1024)
#define WAITING_MAX   (64 * 1024 * 1024)

#define DETOUR_PRIORITY 1

static void begin(struct netlink_request *request, uint16_t type, uint16_t flags, int index, uint32_t parent,
	uint32_t handle, uint32_t info)
{
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = index,
		.tcm_parent = parent,
		.tcm_handle = handle,
		.tcm_info = info,
	};
	netlink_begin(request, type, flags, &header, sizeof(header));
}

static uint32_t part(uint64_t bytes_per_s, unsigned per_s, uint32_t min, uint32_t max)
{
	uint64_t bytes = bytes_per_s / per_s;
	return bytes < min ? min : bytes > max ? max : (uint32_t)bytes;
}

void shaping_put_rate(struct netlink_request *request, int index, uint64_t bytes_per_s)
{
	uint32_t burst = part(bytes_per_s, BURST_PER_S, BURST_MIN, BURST_MAX);
	struct tc_tbf_qopt options = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
			.rate = bytes_per_s > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_per_s },
		.limit = part(bytes_per_s, WAITING_PER_S, WAITING_MIN, WAITING_MAX),
	};
	begin(request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, index, TC_H_ROOT, 0, 0);
	netlink_put_text(request, TCA_KIND, "tbf");
	size_t nest = netlink_nest(request, TCA_OPTIONS);
	netlink_put(request, TCA_TBF_PARMS, &options, sizeof(options));
	netlink_put_u32(request, TCA_TBF_BURST, burst);
	if (bytes_per_s > UINT32_MAX)
		netlink_put_u64(request, TCA_TBF_RATE64, bytes_per_s);
	netlink_nest_end(request, nest);
}

void shaping_put_no_rate(struct netlink_request *request, int index)
{
	begin(request, RTM_DELQDISC, 0, index, TC_H_ROOT, 0, 0);
}

static void put_redirection(struct netlink_request *request, int to)
{
	const struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)to
	};
	size_t actions = netlink_nest(request, TCA_U32_ACT);
	size_t first = netlink_nest(request, 1);
	netlink_put_text(request, TCA_ACT_KIND, "mirred");
	size_t options = netlink_nest(request, TCA_ACT_OPTIONS);
	netlink_put(request, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	netlink_nest_end(request, options);
	netlink_nest_end(request, first);
	netlink_nest_end(request, actions);
}

void shaping_put_detour(struct netlink_request *request, int index, int to)
{
	/* One key without bits: everything. */
	struct {
		struct tc_u32_sel selector;
		struct tc_u32_key key;
	} everything = { .selector = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	begin(request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, TC_H_INGRESS, TC_H_MAKE(TC_H_INGRESS, 0), 0);
	netlink_put_text(request, TCA_KIND, "ingress");

	begin(request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, index, TC_H_MAKE(TC_H_INGRESS, 0), 0,
		TC_H_MAKE(DETOUR_PRIORITY << 16, htobe16(ETH_P_ALL)));
	netlink_put_text(request, TCA_KIND, "u32");
	size_t nest = netlink_nest(request, TCA_OPTIONS);
	netlink_put(request, TCA_U32_SEL, &everything, sizeof(everything.selector) + sizeof(everything.key));
	put_redirection(request, to);
	netlink_nest_end(request, nest);
}

void shaping_put_no_detour(struct netlink_request *request, int index)
{
	begin(request, RTM_DELQDISC, 0, index, TC_H_INGRESS, TC_H_MAKE(TC_H_INGRESS, 0), 0);
}
