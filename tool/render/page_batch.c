// SPDX-License-Identifier: Apache-2.0
// One round as JSON, for the page's stream. Tool world; pure.
#include "render/page.h"

#include "render/json_write.h"
#include "render/page_internal.h"
#include "sample/subjects.h"

// The same figures that a series has, from the sample itself.
static uint64_t column_of(const struct sample *sample, enum series_column column)
{
    // Of rows, groups and the verdict only an account knows.
    const struct digest *digest = sample->digest;
    switch (column) {
    // In the order of the enum, so that a missing one is seen.
    case SERIES_KIND:
        return sample->kind;
    case SERIES_RSS:
        return sample->rss_bytes;
    case SERIES_LAZY:
        return sample->lazy_bytes;
    case SERIES_EFFECTIVE:
        return sample->effective_bytes;
    case SERIES_ANON:
        return sample->anon_bytes;
    case SERIES_VIRTUAL:
        return sample->virtual_bytes;
    case SERIES_SWAP:
        return sample->swap_bytes;
    case SERIES_MINOR_FAULTS:
        return sample->minor_faults;
    case SERIES_MAJOR_FAULTS:
        return sample->major_faults;
    case SERIES_CPU_MS:
        return sample->cpu_ms;
    case SERIES_THREADS:
        return sample->threads;
    // Whether a reading saw it only the recording knows; see write_sample().
    case SERIES_KERNEL_PEAK:
        return SAMPLE_UNKNOWN;
    case SERIES_VERDICT:
        return digest ? digest->verdict : SAMPLE_UNKNOWN;
    case SERIES_GROUP_USAGE:
        return digest ? digest->group_usage_bytes : SAMPLE_UNKNOWN;
    case SERIES_GROUP_LIMIT:
        return digest ? digest->group_limit_bytes : SAMPLE_UNKNOWN;
    // What is left are the rows, in their order.
    default:
        return digest ? digest->row_bytes[column - SERIES_ROWS] : SAMPLE_UNKNOWN;
    }
}

// What only an account knows is left out elsewhere: most samples are cheap ones. The columns of a
// series stand in the same order in front of SERIES_ROWS as here.
static void write_sample(struct page_out *out, const struct sample *sample)
{
    // An object and not a row: a batch is short, and names make it readable in a log.
    page_put(out, "{");
    page_u64(out, "subject", sample->subject);
    page_i64(out, "time_ms", sample->time_ms);
    for (int column = 0; column < SERIES_COLUMN_COUNT; column++) {
        // The columns behind SERIES_ROWS are those of accounts.
        if (column >= SERIES_ROWS && !sample->digest)
            break;
        page_u64(out, series_column_name((enum series_column)column),
                 column_of(sample, (enum series_column)column));
    }
    // Instead of a peak that no reading saw: the page sees from the one before whether it rose.
    page_u64(out, "highest_rss_bytes",
             sample->peak_rss_bytes ? sample->peak_rss_bytes : SAMPLE_UNKNOWN);
    page_put(out, "}");
}

// The subject's sample of this round, or NULL. One after the other: few subjects change in one
// round.
static const struct sample *find_sample(const struct batch *batch, unsigned id)
{
    // In no order that could be relied on, and asked for by events alone.
    for (size_t i = 0; i < batch->sample_count; i++) {
        if (batch->samples[i].subject == id)
            return &batch->samples[i];
    }
    return NULL;
}

// Does the page have to hear of its subject anew?
static bool is_change(const struct event *event)
{
    // Its name, its end or its verdict: what else a subject has, samples tell.
    return event->kind == EVENT_APPEARED || event->kind == EVENT_ENDED ||
           event->kind == EVENT_EXEC || event->kind == EVENT_VERDICT;
}

// Who is new, ended or changed its verdict. One that did two of these comes twice, the same.
static void write_subjects(struct page_out *out, const struct batch *batch,
                           const struct subject *subjects, size_t count)
{
    bool is_first = true;
    for (size_t i = 0; i < batch->event_count && !out->error; i++) {
        const struct event *event = &batch->events[i];
        // Events of the host (subject 0) have none.
        const struct subject *subject =
            is_change(event) ? subjects_find(subjects, count, event->subject) : NULL;
        if (!subject)
            continue;
        // One that ended has none: its last figures stand on the page.
        const struct sample *sample = find_sample(batch, event->subject);
        if (!is_first)
            page_put(out, ",");
        is_first = false;
        if (!out->error)
            out->error =
                page_write_subject(subject, sample, sample ? sample->digest : NULL, out->buffer);
    }
}

// On one line: a message of a stream ends at a line's end.
int page_write_batch(const struct batch *batch, const struct subject *subjects,
                     size_t subject_count, struct buffer *buffer)
{
    // The round's own moment, so that the page sees time go on where nothing changed.
    struct page_out out = {.buffer = buffer};
    page_put(&out, "{");
    // The server's time, so that the page need not trust the browser's clock.
    page_i64(&out, "now_ms", batch->time_ms);
    page_key(&out, "samples");
    page_put(&out, "[");
    for (size_t i = 0; i < batch->sample_count && !out.error; i++) {
        if (i > 0)
            page_put(&out, ",");
        write_sample(&out, &batch->samples[i]);
    }
    // Behind the samples, as they were found: the page marks them on what it has just drawn.
    page_put(&out, "],\"events\":[");
    for (size_t i = 0; i < batch->event_count && !out.error; i++) {
        if (i > 0)
            page_put(&out, ",");
        page_event(&out, &batch->events[i]);
    }
    page_put(&out, "],\"subjects\":[");
    write_subjects(&out, batch, subjects, subject_count);
    page_put(&out, "],\"figures\":[");
    // Ledgers are apart from the samples: their names are the runtime's, and vary.
    for (size_t i = 0; i < batch->sample_count && !out.error; i++) {
        if (batch->samples[i].digest)
            page_figures(&out, batch->samples[i].digest, batch->samples[i].subject);
    }
    page_put(&out, "]}");
    // On failure the buffer holds half a message: the caller drops it.
    return out.error;
}
