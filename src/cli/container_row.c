#include "cli/container_row.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "cli/humanize.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/values.h"
#include "codec/json.h"
#include "codec/reference.h"

#define COMMAND_WIDTH 20
#define MOUNT_WIDTH   15

/* Ports */

struct port {
	const char *address; /* "" when it is not published */
	const char *protocol;
	int64_t inside;
	int64_t outside;
};

static int compare_ports(const void *a, const void *b)
{
	const struct port *x = a, *y = b;
	if (x->inside != y->inside)
		return x->inside < y->inside ? -1 : 1;
	int order = strcmp(x->address, y->address);
	if (order)
		return order;
	if (x->outside != y->outside)
		return x->outside < y->outside ? -1 : 1;
	return strcmp(x->protocol, y->protocol);
}

static struct port *read_ports(const json_t *ports)
{
	size_t count = json_array_size(ports);
	struct port *list = calloc(count + 1, sizeof *list);
	for (size_t i = 0; list && i < count; i++) {
		const json_t *port = json_array_get(ports, i);
		list[i] = (struct port){ .address = value_string(port, "IP"),
			.protocol = value_string(port, "Type"),
			.inside = value_int(port, "PrivatePort"),
			.outside = value_int(port, "PublicPort") };
	}
	if (list)
		qsort(list, count, sizeof *list, compare_ports);
	return list;
}

/* Neighbouring ports that differ in nothing else, as "8000-8010/tcp" or "0.0.0.0:8000-8010->8000-8010/tcp". */
static int add_group(char ***texts, const struct port *first, int64_t last)
{
	char range[32];
	snprintf(range, sizeof range, first->inside == last ? "%lld" : "%lld-%lld", (long long)first->inside,
		(long long)last);
	bool v6 = strchr(first->address, ':');
	if (!*first->address)
		return strv_appendf(texts, "%s/%s", range, first->protocol);
	return strv_appendf(texts, "%s%s%s:%s->%s/%s", v6 ? "[" : "", first->address, v6 ? "]" : "", range, range,
		first->protocol);
}

static int add_mapping(char ***texts, const struct port *port)
{
	bool v6 = strchr(port->address, ':');
	return strv_appendf(texts, "%s%s%s:%lld->%lld/%s", v6 ? "[" : "", port->address, v6 ? "]" : "",
		(long long)port->outside, (long long)port->inside, port->protocol);
}

static bool is_mapped(const struct port *port)
{
	return *port->address && port->outside != port->inside;
}

/* The ports from `first` on that belong to its group are marked by an empty protocol. */
static int64_t take_group(struct port *ports, size_t count, size_t first)
{
	int64_t last = ports[first].inside;
	for (size_t i = first + 1; i < count; i++) {
		if (ports[i].protocol && !is_mapped(&ports[i]) && ports[i].inside == last + 1 &&
			strcmp(ports[i].address, ports[first].address) == 0 &&
			strcmp(ports[i].protocol, ports[first].protocol) == 0) {
			last = ports[i].inside;
			ports[i].protocol = NULL;
		}
	}
	return last;
}

int container_ports(const json_t *ports, struct buf *out)
{
	size_t count = json_array_size(ports);
	_cleanup_free_ struct port *list = read_ports(ports);
	_autofree_(strv) char **groups = NULL, **mappings = NULL;
	int ret = list ? 0 : -ENOMEM;
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (!list[i].protocol)
			continue;
		if (is_mapped(&list[i]))
			ret = add_mapping(&mappings, &list[i]);
		else
			ret = add_group(&groups, &list[i], take_group(list, count, i));
	}
	if (ret == 0)
		ret = strv_extend(&groups, mappings);
	_cleanup_free_ char *joined = groups ? strv_join(groups, ", ") : strdup("");
	if (ret < 0 || !joined)
		return ret < 0 ? ret : -ENOMEM;
	return buf_puts(out, joined);
}

/* Columns. Each appends its text. */

typedef int column_fn(const json_t *container, bool truncate, struct buf *out);

/* As Go's strconv.Quote. */
static int quote(const char *text, struct buf *out)
{
	static const char letters[] = "\a\b\f\n\r\t\v\"\\", names[] = "abfnrtv\"\\";
	int ret = buf_putc(out, '"');
	for (; ret == 0 && *text; text++) {
		const char *special = strchr(letters, *text);
		if (special)
			ret = buf_printf(out, "\\%c", names[special - letters]);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			ret = buf_printf(out, "\\x%02x", *text);
		else
			ret = buf_putc(out, *text);
	}
	return ret < 0 ? ret : buf_putc(out, '"');
}

static int command_column(const json_t *container, bool truncate, struct buf *out)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PRINT_MAX);
	const char *command = value_string(container, "Command");
	int ret = truncate ? value_ellipsis(command, COMMAND_WIDTH, &text) : buf_puts(&text, command);
	return ret < 0 ? ret : quote(text.data, out);
}

static int created_at_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	char text[HUMAN_MAX];
	human_time(value_int(container, "Created"), text);
	return buf_puts(out, text);
}

static int id_column(const json_t *container, bool truncate, struct buf *out)
{
	char id[VALUE_SHORT_ID_MAX];
	value_short_id(value_string(container, "Id"), id);
	return buf_puts(out, truncate ? id : value_string(container, "Id"));
}

/* Shortened: an image known by its ID is that ID, and a digest beside a tag is left out. */
static int image_column(const json_t *container, bool truncate, struct buf *out)
{
	const char *image = value_string(container, "Image");
	if (!*image)
		return buf_puts(out, "<no image>");
	if (!truncate)
		return buf_puts(out, image);
	char id[VALUE_SHORT_ID_MAX], name[VALUE_SHORT_ID_MAX];
	value_short_id(value_string(container, "ImageID"), id);
	value_short_id(image, name);
	if (strcmp(id, name) == 0)
		return buf_puts(out, id);

	_cleanup_(reference_finish) struct reference reference = { NULL };
	if (reference_parse(image, &reference, NULL) < 0)
		return buf_puts(out, image);
	return buf_printf(out, "%s%s%s", reference_familiar(reference.repository), reference.tag ? ":" : "",
		reference.tag ? reference.tag : "");
}

static int labels_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	return value_join_labels(value_at(container, "Labels"), out);
}

static int local_volumes_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	unsigned count = 0;
	size_t i;
	const json_t *mount;
	json_array_foreach (value_at(container, "Mounts"), i, mount)
		count += strcmp(value_string(mount, "Driver"), "local") == 0;
	return buf_printf(out, "%u", count);
}

static int mounts_column(const json_t *container, bool truncate, struct buf *out)
{
	size_t i;
	const json_t *mount;
	int ret = 0;
	json_array_foreach (value_at(container, "Mounts"), i, mount) {
		const char *name = value_string(mount, "Name");
		if (!*name)
			name = value_string(mount, "Source");
		if (ret == 0 && i)
			ret = buf_putc(out, ',');
		if (ret == 0)
			ret = truncate ? value_ellipsis(name, MOUNT_WIDTH, out) : buf_puts(out, name);
	}
	return ret;
}

/* Without their slash; shortened, only the one that is no link's. */
static int names_column(const json_t *container, bool truncate, struct buf *out)
{
	const json_t *names = value_at(container, "Names");
	size_t i;
	const json_t *item;
	if (truncate) {
		json_array_foreach (names, i, item) {
			const char *name = json_string_value(item);
			if (name && *name && !strchr(name + 1, '/'))
				return buf_puts(out, name + 1);
		}
	}
	int ret = 0;
	json_array_foreach (names, i, item) {
		const char *name = json_string_value(item);
		if (ret == 0 && name && *name)
			ret = buf_printf(out, "%s%s", i ? "," : "", name + 1);
	}
	return ret;
}

static int networks_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	const char *name;
	json_t *network;
	int ret = 0;
	json_object_foreach (value_at(container, "NetworkSettings.Networks"), name, network) {
		if (ret == 0)
			ret = buf_printf(out, "%s%s", out->len ? "," : "", name);
	}
	return ret;
}

static int ports_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	return container_ports(value_at(container, "Ports"), out);
}

static int running_for_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	char text[HUMAN_MAX];
	human_duration(clock_realtime_ns() / NS_PER_SEC - value_int(container, "Created"), text);
	return buf_printf(out, "%s ago", text);
}

static int size_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	char own[HUMAN_MAX], whole[HUMAN_MAX];
	int64_t root = value_int(container, "SizeRootFs");
	human_size((double)value_int(container, "SizeRw"), 3, own);
	human_size((double)root, 3, whole);
	return root > 0 ? buf_printf(out, "%s (virtual %s)", own, whole) : buf_puts(out, own);
}

static int state_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	return buf_puts(out, value_string(container, "State"));
}

static int status_column(const json_t *container, bool truncate, struct buf *out)
{
	(void)truncate;
	return buf_puts(out, value_string(container, "Status"));
}

int container_row(const json_t *container, bool truncate, json_t **ret, struct err **reterr)
{
	static const struct {
		const char *name;
		column_fn *fn;
	} columns[] = {
		{ "Command", command_column },
		{ "CreatedAt", created_at_column },
		{ "ID", id_column },
		{ "Image", image_column },
		{ "Labels", labels_column },
		{ "LocalVolumes", local_volumes_column },
		{ "Mounts", mounts_column },
		{ "Names", names_column },
		{ "Networks", networks_column },
		{ "Platform", NULL },
		{ "Ports", ports_column },
		{ "RunningFor", running_for_column },
		{ "Size", size_column },
		{ "State", state_column },
		{ "Status", status_column },
	};
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		_cleanup_(buf_finish) struct buf text = BUF_INIT(PRINT_MAX);
		int r = columns[i].fn ? columns[i].fn(container, truncate, &text) : 0;
		if (r < 0)
			return err_errno(reterr, r, "cannot print");
		if (columns[i].fn)
			object_put_string(&row, columns[i].name, text.data ? text.data : "");
		else
			object_put(&row, columns[i].name, json_null());
	}
	return object_take(&row, ret, reterr);
}
