#include "network/program.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "network/bridge.h"
#include "network/cleanup.h"
#include "network/cni.h"
#include "network/lacking.h"
#include "network/parent.h"
#include "network/table.h"
#include "spec/messages.h"
#include "sys/channel.h"
#include "sys/links.h"

#define CHANNEL_FD 3
#define EXIT_USAGE 2

struct job {
	const char *owner;
	char table[TABLE_NAME_SIZE];
	struct netlink netlink;
};

static int make_one(struct job *job, const struct lease_bridge *bridge, struct err **reterr)
{
	if (!bridge->bridge[0])
		return 0;
	if (bridge->kind)
		return parent_make(bridge, job->owner, reterr);
	int r = table_network_add(&job->netlink, job->table, bridge, reterr);
	return r < 0 ? r : bridge_make(bridge, job->owner, reterr);
}

static int remove_one(struct job *job, const struct lease_bridge *bridge, struct err **reterr)
{
	if (!bridge->bridge[0])
		return 0;
	if (bridge->kind)
		return parent_remove(bridge->bridge, job->owner, reterr);
	int r = bridge->foreign ? 0 : bridge_remove(bridge->bridge, job->owner, reterr);
	return r < 0 ? r : table_network_remove(&job->netlink, job->table, bridge, reterr);
}

static void bridges_free(struct lease_bridge *bridges, size_t count)
{
	for (size_t i = 0; bridges && i < count; i++)
		json_finish(&lease_bridge_table, &bridges[i]);
	free(bridges);
}

/* The checked list of that name; NULL with *ret_count 0 if there is none. */
static int read_bridges(const struct message *message, const char *name, struct lease_bridge **ret, size_t *ret_count,
	struct err **reterr)
{
	const json_t *list = json_object_get(message->body, name);
	size_t total = json_array_size(list);
	int r = 0;
	*ret_count = 0;
	*ret = total ? calloc(total, sizeof(**ret)) : NULL;
	if (total && !*ret)
		return err_oom(reterr);
	for (size_t i = 0; r == 0 && i < total; i++) {
		r = json_read(&lease_bridge_table, json_array_get(list, i), &(*ret)[i], reterr);
		if (r < 0)
			break;
		*ret_count = i + 1;
		r = lease_bridge_validate(&(*ret)[i], name, reterr);
	}
	return r;
}

static int do_each(struct job *job, const struct message *message, const char *name,
	int (*fn)(struct job *job, const struct lease_bridge *bridge, struct err **reterr), struct err **reterr)
{
	struct lease_bridge *bridges;
	size_t count;
	int r = read_bridges(message, name, &bridges, &count, reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = fn(job, &bridges[i], reterr);
	bridges_free(bridges, count);
	return r;
}

static int put_rules(struct job *job, const struct message *message, struct err **reterr)
{
	struct lease_bridge *bridges;
	size_t count;
	if (!json_object_get(message->body, "rules"))
		return 0;
	int r = read_bridges(message, "rules", &bridges, &count, reterr);
	if (r == 0)
		r = table_networks(&job->netlink, job->table, bridges, count, reterr);
	bridges_free(bridges, count);
	return r;
}

/* Bridges and parents of networks that are no more: the engine knows nothing of them but their names. */
static int remove_strays(struct job *job, const struct message *message, struct err **reterr)
{
	const json_t *list = json_object_get(message->body, "strays");
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		r = name && lease_is_interface(name)
			    ? parent_remove(name, job->owner, reterr)
			    : err_set(reterr, ERR_INVALID, 0, "strays[%zu]: not an interface's name", i);
	}
	return r;
}

/* Containers that have ended; all are tried. */
static int detach(const struct message *message, const char *data_root, struct err **reterr)
{
	const json_t *list = json_object_get(message->body, "detach");
	int r = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		if (!id || !is_hex(id, 64) || !data_root)
			return err_set(reterr, ERR_INVALID, 0, "a job with a wrong container ID");
		_autoclose_ int folder = cni_folder_open(data_root, id, true);
		if (folder == -ENOENT)
			continue;
		if (folder < 0)
			return err_errno(reterr, folder, "cannot open the folder of container %s", id);
		const struct cni_site site = { .folder_fd = folder, .container_id = id, .netns = "", .cancel_fd = -1 };
		int one = cni_detach(&site, r < 0 ? NULL : reterr);
		r = r < 0 ? r : one;
	}
	return r;
}

/* Only upwards: more is somebody else's wish. Whatever comes of it, networks work. */
static void raise_loopback(int64_t segment)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info lo;
	if (segment <= 0 || segment > LEASE_SEGMENT_MAX)
		return;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0)
		r = link_find(&netlink, "lo", &lo);
	if (r == 0 && lo.segment >= segment)
		return;
	if (r == 0 && lo.segment == 0)
		r = -EOPNOTSUPP; /* and it would take no notice of being told */
	if (r == 0) {
		link_put_segment(&request, lo.index, (unsigned)segment);
		r = netlink_transact(&netlink, &request);
	}
	if (r < 0)
		log_warn("loopback-segments: lo can't let through segments of %lld bytes%s: %s", (long long)segment,
			r == -EOPNOTSUPP ? ", which needs Linux 6.3" : "", strerrordesc_np(-r));
	else
		log_info("lo lets through segments of %lld bytes from now on, as loopback-segments has it",
			(long long)segment);
}

static int do_job(const struct message *message, const char *exec_root, struct err **reterr)
{
	struct job job = { .owner = message_string(message, "owner"), .netlink = NETLINK_NONE };
	if (!job.owner || !exec_root)
		return err_set(reterr, ERR_INVALID, 0, "a job without its owner");
	table_name(exec_root, job.table);
	raise_loopback(json_integer_value(json_object_get(message->body, "segments")));
	int r = netlink_open(&job.netlink, NETLINK_NETFILTER);
	if (r < 0 && lacking(r, "nf_tables", reterr))
		return r;
	if (r < 0)
		return err_errno(reterr, r, "cannot talk to the kernel about packet filters");
	r = put_rules(&job, message, reterr);
	if (r == 0)
		r = do_each(&job, message, "make", make_one, reterr);
	if (r == 0)
		r = do_each(&job, message, "remove", remove_one, reterr);
	if (r == 0)
		r = remove_strays(&job, message, reterr);
	netlink_close(&job.netlink);
	return r;
}

static void answer(json_t *body)
{
	_autojson_ json_t *owned = body;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	/* An engine that has gone asks again when it is back. */
	if (message_pack(owned, NULL, 0, &text) == 0)
		message_send(CHANNEL_FD, text.data, text.len, NULL, 0);
}

static int handle(const struct message *message, const char *data_root, const char *exec_root)
{
	_autofree_(err) struct err *err = NULL;
	const char *kind = message_string(message, "kind");
	if (strcmp(message->op, "job") != 0 || !kind || strcmp(kind, "network") != 0) {
		answer(message_unsupported(message->id, kind ? kind : message->op));
		return EXIT_FAILURE;
	}
	bool detaches = json_object_get(message->body, "detach");
	if ((detaches ? detach(message, data_root, &err) : do_job(message, exec_root, &err)) < 0)
		answer(message_error(message->id, err));
	else
		answer(message_done(message->id));
	return EXIT_SUCCESS;
}

static int one_message(const char *data_root, const char *exec_root)
{
	_cleanup_free_ char *data = malloc(CHANNEL_MESSAGE_MAX);
	_autofree_(err) struct err *err = NULL;
	struct message message;
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	if (!data)
		return EXIT_FAILURE;
	ssize_t len = message_receive(CHANNEL_FD, data, CHANNEL_MESSAGE_MAX, fds, &count);
	if (len <= 0)
		return len == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (message_parse(data, (size_t)len, &message, &err) < 0) {
		log_error("the engine's message: %s", err_message(err));
		return EXIT_FAILURE;
	}
	int status = handle(&message, data_root, exec_root);
	message_finish(&message);
	return status;
}

static int clean_up(const char *exec_root)
{
	_autofree_(err) struct err *err = NULL;
	int r = exec_root ? cleanup_networks(exec_root, &err)
			  : err_set(&err, ERR_INVALID, 0, "--cleanup needs --exec-root");
	if (r < 0)
		log_error("%s", err_message(err));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int network_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "data-root", required_argument, NULL, 'd' },
		{ "exec-root", required_argument, NULL, 'e' },
		{ "cleanup", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	const char *data_root = NULL, *exec_root = NULL;
	bool cleans = false;
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'e')
			exec_root = optarg;
		else if (c == 'c')
			cleans = true;
		else if (c == 'd')
			data_root = optarg;
		else {
			fputs("usage: tare-network --data-root PATH --exec-root PATH, started by tared\n", stderr);
			return EXIT_USAGE;
		}
	}
	log_setup("tare-network", LOG_LEVEL_INFO);
	if (cleans)
		return clean_up(exec_root);
	fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	return one_message(data_root, exec_root);
}
