// SPDX-License-Identifier: Apache-2.0
// What can be tuned in a process, see tune.h. Tool world; pure.
#include "render/tune.h"

#include <errno.h>
#include <string.h>

#include "render/json.h"
#include "render/text.h"

enum { OPTION_MAX_COLUMNS = 44, VALUE_MAX_COLUMNS = 24, NAME_MAX_COLUMNS = 60, GAP_COLUMNS = 2 };

// Where the values and their sources begin.
struct columns {
    size_t value, source;
};

// A setting that is there but cannot be read is listed all the same.
static const char *value_of(const struct tune_item *item)
{
    return item->value[0] ? item->value : "unknown";
}

// As narrow as what stands in them allows, so that a source fits beside them in 80 columns.
static struct columns find_columns(const struct tune_list *list)
{
    size_t option = 0, value = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t option_len = strlen(list->items[i].option);
        size_t value_len = strlen(value_of(&list->items[i]));
        // One that is too long by far stands out of line, rather than all others.
        if (option_len > option && option_len <= OPTION_MAX_COLUMNS)
            option = option_len;
        if (value_len > value && value_len <= VALUE_MAX_COLUMNS)
            value = value_len;
    }
    struct columns columns = {.value = 2 + option + GAP_COLUMNS};
    columns.source = columns.value + value + GAP_COLUMNS;
    return columns;
}

// "  --gogc=N|off      100      runtime.gcController.gcPercent"
static void write_item(struct writer *writer, const struct tune_item *item,
                       const struct columns *columns)
{
    const char *value = value_of(item);
    size_t column = 2 + strlen(item->option);
    write_blanks(writer, 2);
    write_name(writer, item->option, 0);
    write_blanks(writer, column < columns->value ? columns->value - column : 1);
    column = column < columns->value ? columns->value : column + 1;
    column += strlen(value);
    write_name(writer, value, 0);
    write_blanks(writer, column < columns->source ? columns->source - column : 1);
    column = column < columns->source ? columns->source : column + 1;
    write_wrapped(writer, item->source, column, columns->source);
    // The reason why not stands below, and does not widen the columns.
    if (item->is_possible)
        return;
    char text[2 * LEVER_WHAT_MAX + 32];
    text_format(text, sizeof text,
                item->needs[0] ? "not here: %s; what would help: %s" : "not here: %s", item->why,
                item->needs);
    write_blanks(writer, 4);
    write_wrapped(writer, text, 4, 4);
}

// By runtime, in the order in which they were read.
int render_tune_text(const struct tune_list *list, const struct render_style *style,
                     struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    const struct columns columns = find_columns(list);
    write_colored(&writer, COLOR_BOLD, "tune");
    write_text(&writer, ": ");
    write_name(&writer, list->name, NAME_MAX_COLUMNS);
    write_format(&writer, " (pid %d): ", list->pid);
    write_text(&writer, list->count > 0 ? "what can be changed while it runs\n"
                                        : "no runtime here has settings that could be changed\n");
    for (size_t i = 0; i < list->count; i++) {
        const struct tune_item *item = &list->items[i];
        // A heading for each runtime.
        if (i == 0 || strcmp(item->runtime, list->items[i - 1].runtime) != 0) {
            write_text(&writer, "\n");
            write_name(&writer, item->runtime, NAME_MAX_COLUMNS);
            write_text(&writer, "\n");
        }
        write_item(&writer, item, &columns);
    }
    return writer.error;
}

#ifdef EBB_WITH_JSON

// Texts that are not known are null, as in every report.
static json_t *json_of_item(const struct tune_item *item)
{
    json_t *object = json_object();
    json_put(&object, "option", json_of_name(item->option));
    json_put(&object, "runtime", json_of_name(item->runtime));
    json_put(&object, "value", json_of_name_or_null(item->value));
    json_put(&object, "source", json_of_name_or_null(item->source));
    json_put(&object, "possible", json_boolean(item->is_possible));
    json_put(&object, "why", json_of_name_or_null(item->why));
    json_put(&object, "needs", json_of_name_or_null(item->needs));
    return object;
}

// Options stand as the help has them, so that a program can show them.
int render_tune_json(const struct tune_list *list, struct buffer *buffer)
{
    json_t *items = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_push(&items, json_of_item(&list->items[i]));
    json_t *object = json_object();
    json_put(&object, "schema", json_integer(1));
    json_put(&object, "pid", json_integer(list->pid));
    json_put(&object, "name", json_of_name(list->name));
    json_put(&object, "items", items);
    return json_append(object, buffer);
}

// Built without jansson: the verb says so.
#else

int render_tune_json(const struct tune_list *list, struct buffer *buffer)
{
    (void)list;
    (void)buffer;
    return -ENOTSUP;
}

#endif
