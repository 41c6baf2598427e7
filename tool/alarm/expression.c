// SPDX-License-Identifier: Apache-2.0
// Reads alarm expressions, see expression.h. Tool world; pure, no state.
#include "alarm/expression.h"

#include <errno.h>
#include <string.h>

#include "base/quantity.h"

// People watch for minutes; what is told more often than every five is noise.
enum { EVERY_DEFAULT_MS = 300000 };
static const uint64_t ns_per_ms = 1000000;
// A share beyond that is a slip: of RSS it can be above 100.
static const double percent_max = 10000;
// How far back the figure must go, unless the expression says.
static const double clear_below = 0.9, clear_above = 1.1;

// In the order of their enums.
static const struct {
    const char *name, *title;
} metrics[ALARM_METRIC_COUNT] = {
    {"rss", "RSS"},
    {"effective", "effective RSS"},
    {"lazy", "lazily freed memory"},
    {"kept", "memory kept by the runtime"},
    {"in_use", "memory in use"},
    {"swap", "swap"},
    {"growth", "growth of effective RSS"},
    {"usage", "memory usage of the cgroup"},
    {"working_set", "working set of the cgroup"},
};
static const char *const bases[ALARM_BASE_COUNT] = {"", "limit", "host", "rss"};

// The tables answer; enums come from our own parser and are never out of range.
const char *alarm_metric_name(enum alarm_metric metric)
{
    return metrics[metric].name;
}

// Begins a sentence of alarm_describe().
const char *alarm_metric_title(enum alarm_metric metric)
{
    return metrics[metric].title;
}

// As it is written behind the percent sign.
const char *alarm_base_name(enum alarm_base base)
{
    return bases[base];
}

// Blanks may stand, or be left out, between any two parts.
static bool take_word(struct text *rest, const char *word)
{
    // Tried on a copy: what does not fit is left for the next try.
    struct text ahead = *rest;
    text_skip_blanks(&ahead);
    if (!text_take_prefix(&ahead, word))
        return false;
    *rest = ahead;
    return true;
}

// What stands up to the next blank, as people would see it as one thing.
static struct text take_token(struct text *rest)
{
    text_skip_blanks(rest);
    struct text token = {rest->data, 0};
    while (token.len < rest->len && rest->data[token.len] != ' ' && rest->data[token.len] != '\t')
        token.len++;
    rest->data += token.len;
    rest->len -= token.len;
    return token;
}

// No name is the beginning of another one, so the first that fits is the right one.
static bool take_metric(struct text *rest, enum alarm_metric *ret_metric)
{
    for (unsigned i = 0; i < ALARM_METRIC_COUNT; i++) {
        if (take_word(rest, metrics[i].name)) {
            *ret_metric = (enum alarm_metric)i;
            return true;
        }
    }
    return false;
}

// There is no equality: figures of memory never stand still.
static bool take_comparator(struct text *rest, struct alarm_condition *condition)
{
    condition->is_above = take_word(rest, ">");
    if (!condition->is_above && !take_word(rest, "<"))
        return false;
    // Attached only: "> =" is a slip.
    condition->or_equal = text_take_prefix(rest, "=");
    return true;
}

// "80" or "0.5", in front of a percent sign; digits enough for any share.
static bool take_number(struct text *rest, double *ret_number)
{
    uint64_t whole;
    if (!text_take_u64(rest, &whole))
        return false;
    // A double is exact for every share that somebody would write.
    double number = (double)whole, place = 1;
    if (text_take_prefix(rest, ".")) {
        // By hand: strtod() would go by the locale's point.
        while (rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9') {
            place /= 10;
            number += place * (rest->data[0] - '0');
            rest->data++;
            rest->len--;
        }
    }
    *ret_number = number;
    return true;
}

// "80%limit", "80% limit", "80 % of limit". False leaves `rest` as it was.
static bool take_share(struct text *rest, struct alarm_level *ret_level)
{
    struct text ahead = *rest;
    double number;
    text_skip_blanks(&ahead);
    if (!take_number(&ahead, &number) || !take_word(&ahead, "%"))
        return false;
    // As people say it, and as they type it.
    (void)take_word(&ahead, "of ");
    for (unsigned i = ALARM_OF_LIMIT; i < ALARM_BASE_COUNT; i++) {
        // The first base is "", of bytes: not a share.
        if (take_word(&ahead, bases[i]) && number > 0 && number <= percent_max) {
            *ret_level = (struct alarm_level){number, (enum alarm_base)i};
            *rest = ahead;
            return true;
        }
    }
    return false;
}

// "1MiB/s", "512KiB/min": per second, which growth is counted in. 0 for no rate at all.
static double take_rate(struct text *token)
{
    static const struct {
        const char *suffix;
        double seconds;
    } rates[] = {{"/s", 1}, {"/min", 60}, {"/h", 3600}, {"/d", 86400}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        // Behind the size, so it is taken off before that is read.
        if (text_ends_with(*token, rates[i].suffix)) {
            token->len -= strlen(rates[i].suffix);
            return rates[i].seconds;
        }
    }
    return 0;
}

// A share, or a size; growth alone is a rate, and is nothing else.
static bool take_level(struct text *rest, enum alarm_metric metric, struct alarm_level *ret_level)
{
    if (metric != ALARM_GROWTH && take_share(rest, ret_level))
        return true;
    // Sizes have one spelling on the whole command line.
    struct text token = take_token(rest);
    uint64_t bytes;
    double seconds = take_rate(&token);
    if ((metric == ALARM_GROWTH) != (seconds > 0) || quantity_parse_size(token, &bytes) != 0)
        return false;
    *ret_level = (struct alarm_level){(double)bytes / (seconds > 0 ? seconds : 1), ALARM_BYTES};
    return true;
}

// As everywhere on the command line; fractions of a millisecond are nobody's alarm.
static bool take_duration(struct text *rest, uint64_t *ret_ms)
{
    uint64_t ns;
    if (quantity_parse_duration(take_token(rest), &ns) != 0)
        return false;
    *ret_ms = ns / ns_per_ms;
    return true;
}

// Sentences are ours: nothing that was typed is in them, so they are safe to print.
static int refuse(char ret_error[ALARM_ERROR_MAX], const char *sentence)
{
    text_format(ret_error, ALARM_ERROR_MAX, "%s", sentence);
    return -EINVAL;
}

// "50 MiB": read as 50 bytes and a clause that nobody knows, it would be answered with riddles.
static bool is_parted_size(struct text text)
{
    double number;
    text_skip_blanks(&text);
    if (!take_number(&text, &number))
        return false;
    size_t digits_end = text.len;
    text_skip_blanks(&text);
    return text.len < digits_end && text.len > 0 && memchr("kKMGTPB", text.data[0], 7) != NULL;
}

static const char parted_size[] =
    "a size of an alarm has no blank between the number and its unit: 50MiB";

// One clause behind the level. `given` has a bit for each that was there: twice is a slip.
static int take_clause(struct text *rest, struct alarm_condition *condition, unsigned *given,
                       char ret_error[ALARM_ERROR_MAX])
{
    static const char *const words[] = {"for ", "every ", "clear "};
    unsigned which = 0;
    while (which < 3 && !take_word(rest, words[which]))
        which++;
    if (which == 3)
        return refuse(ret_error, "behind the level of an alarm there may be 'for 30s', "
                                 "'clear 70%limit' and 'every 5m', and nothing else");
    if (*given & 1U << which)
        return refuse(ret_error, "a clause of the alarm is there twice");
    // A bit for each word, in the order of the list.
    *given |= 1U << which;
    if (which == 2 && is_parted_size(*rest))
        return refuse(ret_error, parted_size);
    if (which == 2)
        return take_level(rest, condition->metric, &condition->clear)
                   ? 0
                   : refuse(ret_error, "'clear' needs a level like that of the alarm: "
                                       "'clear 70%limit', 'clear 400MiB'");
    // The two that are left are both durations.
    uint64_t *field = which == 0 ? &condition->for_ms : &condition->every_ms;
    return take_duration(rest, field)
               ? 0
               : refuse(ret_error, "'for' and 'every' need a duration: 30s, 5m, 1m30s");
}

// The clear level must lie on the other side, or the alarm would end where it begins.
static int settle_clear(struct alarm_condition *condition, bool given,
                        char ret_error[ALARM_ERROR_MAX])
{
    // Of the same base, so that it moves with the limit or the host as the threshold does.
    const struct alarm_level *threshold = &condition->threshold;
    if (!given) {
        condition->clear = *threshold;
        condition->clear.number *= condition->is_above ? clear_below : clear_above;
        return 0;
    }
    // Levels of different bases can only be compared when the figures are known.
    if (condition->clear.base != threshold->base)
        return 0;
    bool beyond = condition->is_above ? condition->clear.number > threshold->number
                                      : condition->clear.number < threshold->number;
    return beyond ? refuse(ret_error, "the clear level lies beyond the threshold: the alarm would "
                                      "end as soon as it begins")
                  : 0;
}

// Messages and environments carry the expression on.
static bool is_plain(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    }
    return text.len < ALARM_EXPRESSION_MAX;
}

int alarm_condition_parse(struct text text, struct alarm_condition *ret_condition,
                          char ret_error[ALARM_ERROR_MAX])
{
    // Filled in on the side: the caller's stays untouched on failure.
    struct alarm_condition condition = {.every_ms = EVERY_DEFAULT_MS};
    unsigned given = 0;
    int error = 0;
    if (!is_plain(text))
        return refuse(ret_error, "an alarm is a short line of plain characters, such as "
                                 "'effective>80%limit for 30s'");
    text_copy(text, condition.text, sizeof condition.text);
    if (!take_metric(&text, &condition.metric))
        return refuse(ret_error, "an alarm begins with what to watch: rss, effective, lazy, kept, "
                                 "in_use, swap, growth, usage or working_set");
    if (!take_comparator(&text, &condition))
        return refuse(ret_error, "behind what to watch an alarm has > or <");
    if (is_parted_size(text))
        return refuse(ret_error, parted_size);
    if (!take_level(&text, condition.metric, &condition.threshold))
        return refuse(ret_error, condition.metric == ALARM_GROWTH
                                     ? "growth is compared with a rate: 1MiB/s, 100MiB/h"
                                     : "the level of an alarm is a size (512MiB) or a share "
                                       "(80%limit, 50%host, 30%rss)");
    // Clauses in any order, until nothing but blanks is left.
    for (text_skip_blanks(&text); text.len > 0 && !error; text_skip_blanks(&text))
        error = take_clause(&text, &condition, &given, ret_error);
    if (!error)
        error = settle_clear(&condition, (given & 1U << 2) != 0, ret_error);
    if (!error)
        *ret_condition = condition;
    return error;
}
