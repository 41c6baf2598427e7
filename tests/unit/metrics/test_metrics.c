// SPDX-License-Identifier: Apache-2.0
// Unit tests of the metrics: groups, what is bounded, counters that never fall, the text. Test
// code; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"

static const uint64_t mib = 1048576;

enum { PROCESSES_MAX = 10001 };

// What a sampler would have.
struct scene {
    struct metrics *metrics;
    struct subject subjects[PROCESSES_MAX];
    struct sample samples[PROCESSES_MAX];
    struct metrics_process processes[PROCESSES_MAX];
    size_t count;
    struct host_sample host;
    int64_t time_ms;
    struct buffer text;
};

static struct scene *scene_open(const struct metrics_options *options)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    assert_int_equal(metrics_new(options, &scene->metrics), 0);
    scene->host = (struct host_sample){.total_bytes = 4096 * mib, .available_bytes = 1024 * mib};
    scene->time_ms = 1000;
    return scene;
}

static void scene_close(struct scene *scene)
{
    metrics_free(scene->metrics);
    buffer_free(&scene->text);
    free(scene);
}

static struct sample *add(struct scene *scene, const char *name, const char *cgroup,
                          uint64_t rss_bytes, uint64_t lazy_bytes)
{
    size_t i = scene->count++;
    scene->subjects[i] = (struct subject){.id = (unsigned)i + 1, .pid = (int)i + 100};
    text_copy(text_of(name), scene->subjects[i].name, sizeof scene->subjects[i].name);
    text_copy(text_of(cgroup), scene->subjects[i].cgroup, sizeof scene->subjects[i].cgroup);
    scene->samples[i] = (struct sample){
        .subject = (unsigned)i + 1,
        .rss_bytes = rss_bytes,
        .lazy_bytes = lazy_bytes,
        .effective_bytes = rss_bytes - lazy_bytes,
    };
    scene->processes[i] = (struct metrics_process){&scene->subjects[i], &scene->samples[i], NULL};
    return &scene->samples[i];
}

static void take(struct scene *scene)
{
    scene->time_ms += 10000;
    const struct metrics_round round = {
        .time_ms = scene->time_ms,
        .host = &scene->host,
        .processes = scene->processes,
        .process_count = scene->count,
    };
    assert_int_equal(metrics_take(scene->metrics, &round), 0);
}

static const char *render(struct scene *scene, enum metrics_format format)
{
    const struct metrics_scrape scrape = {.format = format, .age_s = 2.5};
    buffer_clear(&scene->text);
    assert_int_equal(metrics_render(scene->metrics, &scrape, &scene->text), 0);
    assert_int_equal(metrics_render_end(format, 0.25, &scene->text), 0);
    return scene->text.data;
}

// The value of one point, or -1.
static double value_of(struct scene *scene, const char *point)
{
    const char *at = render(scene, METRICS_OPENMETRICS);
    size_t len = strlen(point);
    for (; at; at = strchr(at, '\n')) {
        at += at[0] == '\n';
        if (strncmp(at, point, len) == 0 && at[len] == ' ')
            return strtod(at + len, NULL);
    }
    return -1;
}

static size_t count_lines(const char *text, const char *beginning)
{
    size_t count = 0;
    for (const char *at = text; at && *at; at = strchr(at, '\n')) {
        at += at[0] == '\n';
        count += strncmp(at, beginning, strlen(beginning)) == 0;
    }
    return count;
}

static void test_groups_are_sums(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){.is_complete = true});
    add(scene, "redis", "/a", 100 * mib, 40 * mib);
    add(scene, "redis", "/b", 50 * mib, 0);
    add(scene, "etcd", "/b", 10 * mib, SAMPLE_UNKNOWN)->effective_bytes = 10 * mib;
    take(scene);
    assert_true(value_of(scene, "ebb_group_processes{group=\"redis\"}") == 2);
    assert_true(value_of(scene, "ebb_group_resident_bytes{group=\"redis\"}") == 150.0 * 1048576);
    assert_true(value_of(scene, "ebb_group_lazily_freed_bytes{group=\"redis\"}") == 40.0 * 1048576);
    assert_true(value_of(scene, "ebb_group_effective_bytes{group=\"redis\"}") == 110.0 * 1048576);
    assert_true(value_of(scene, "ebb_group_lazy_unknown_processes{group=\"etcd\"}") == 1);
    assert_true(value_of(scene, "ebb_cgroup_effective_bytes{cgroup=\"/b\"}") == 60.0 * 1048576);
    assert_true(value_of(scene, "ebb_host_lazily_freed_bytes") == 40.0 * 1048576);
    assert_true(value_of(scene, "ebb_sample_age_seconds") == 2.5);
    assert_null(strstr(scene->text.data, "pid"));
    assert_null(strstr(scene->text.data, "other"));
    scene_close(scene);
}

static void test_accounts(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    struct digest_figure figures[] = {
        {"Go", {.name = "HeapIdle", .unit = FIGURE_BYTES, .value = 7}},
        {"Go", {.name = "NumGC", .unit = FIGURE_COUNT, .value = 3}},
        {"Go", {.name = "Secret", .unit = FIGURE_BYTES, .value = 9}},
        {"Rust", {.name = "HeapIdle", .unit = FIGURE_BYTES, .value = 9}},
        {"Go", {.name = "HeapSys", .unit = FIGURE_COUNT, .value = 9}},
    };
    struct digest digest = {
        .row_bytes = {[ROW_KEPT] = 30, [ROW_IN_USE] = 50},
        .verdict = VERDICT_KEPT,
        .figures = figures,
        .figure_count = 5,
    };
    add(scene, "app", "/a", 100, 20);
    add(scene, "app", "/a", 10, 0);
    scene->processes[0].digest = &digest;
    take(scene);
    assert_true(value_of(scene, "ebb_group_accounts{group=\"app\"}") == 1);
    assert_true(value_of(scene, "ebb_group_reclaimable_bytes{group=\"app\"}") == 50);
    assert_true(value_of(scene, "ebb_group_account_bytes{group=\"app\",row=\"in_use\"}") == 50);
    assert_true(value_of(scene, "ebb_group_verdict{group=\"app\",verdict=\"kept\"}") == 1);
    assert_true(value_of(scene, "ebb_group_verdict{group=\"app\",verdict=\"lazy\"}") == 0);
    assert_true(
        value_of(scene,
                 "ebb_group_runtime_bytes{group=\"app\",runtime=\"Go\",figure=\"HeapIdle\"}") == 7);
    assert_int_equal(count_lines(scene->text.data, "ebb_group_runtime_bytes{"), 1);
    assert_true(value_of(scene, "ebb_group_collections_total{group=\"app\"}") == 3);
    scene_close(scene);
}

static void test_counters_never_fall(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    add(scene, "app", "/a", 100, 0)->cpu_ms = 5000;
    add(scene, "app", "/a", 100, 0)->cpu_ms = 3000;
    take(scene);
    const char *point = "ebb_group_cpu_seconds_total{group=\"app\"}";
    assert_true(value_of(scene, point) == 8);
    // One of them ends; a new one takes its place.
    scene->samples[1].cpu_ms = 4000;
    scene->processes[0] = scene->processes[1];
    scene->count = 1;
    take(scene);
    assert_true(value_of(scene, point) == 9);
    scene->samples[1].cpu_ms = SAMPLE_UNKNOWN;
    take(scene);
    assert_true(value_of(scene, point) == 9);
    scene->samples[1].cpu_ms = 10;
    take(scene);
    assert_true(value_of(scene, point) == 9);
    scene->samples[1].cpu_ms = 4500;
    take(scene);
    assert_true(value_of(scene, point) == 9.5);
    // All end: the group is gone, and goes on where it was when it comes back.
    scene->count = 0;
    take(scene);
    assert_true(value_of(scene, point) < 0);
    scene->subjects[5] = (struct subject){.id = 9, .name = "app", .cgroup = "/a"};
    scene->samples[5] = (struct sample){.subject = 9, .cpu_ms = 1000};
    scene->processes[0] = (struct metrics_process){&scene->subjects[5], &scene->samples[5], NULL};
    scene->count = 1;
    take(scene);
    assert_true(value_of(scene, point) == 10.5);
    scene_close(scene);
}

// Groups that change places across the border of the top: no series falls, nothing is lost.
static void test_counters_of_the_rest(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){.top = 2});
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        add(scene, names[i], "/", 100, 0);
    double before[5] = {0}, total = 0;
    unsigned seed = 1;
    for (int round = 1; round <= 200; round++) {
        for (int i = 0; i < 4; i++) {
            seed = seed * 1103515245 + 12345;
            scene->samples[i].effective_bytes = seed >> 16;
            scene->samples[i].minor_faults += (seed >> 20) % 7;
        }
        take(scene);
        total = 0;
        for (int i = 0; i < 5; i++) {
            char point[96];
            snprintf(point, sizeof point, "ebb_group_minor_faults_total{group=\"%s\"}",
                     i < 4 ? names[i] : "other");
            double value = value_of(scene, point);
            // -1 is a series that is not shown now; what it had stays its own.
            assert_true(value < 0 || value >= before[i]);
            before[i] = value < 0 ? before[i] : value;
            total += before[i];
        }
        uint64_t true_total = 0;
        for (int i = 0; i < 4; i++)
            true_total += scene->samples[i].minor_faults;
        assert_true(total == (double)true_total);
        assert_int_equal(count_lines(scene->text.data, "ebb_group_processes{"), 3);
    }
    scene_close(scene);
}

static void test_ten_thousand_groups(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    for (int i = 0; i < 10000; i++) {
        char name[32], cgroup[32];
        snprintf(name, sizeof name, "n%d", i);
        snprintf(cgroup, sizeof cgroup, "/c%d", i);
        add(scene, name, cgroup, (uint64_t)i * mib, 0);
    }
    add(scene, "other", "/x", 9999999 * mib, 0);
    take(scene);
    render(scene, METRICS_OPENMETRICS);
    assert_int_equal(count_lines(scene->text.data, "ebb_group_processes{"),
                     METRICS_TOP_DEFAULT + 1);
    assert_int_equal(count_lines(scene->text.data, "ebb_cgroup_processes{"),
                     METRICS_TOP_DEFAULT + 1);
    // A process that is called like the rest is in it, and takes no place.
    assert_true(value_of(scene, "ebb_group_processes{group=\"other\"}") ==
                10001 - METRICS_TOP_DEFAULT);
    assert_true(value_of(scene, "ebb_group_resident_bytes{group=\"n9950\"}") > 0);
    assert_true(value_of(scene, "ebb_group_resident_bytes{group=\"n9949\"}") < 0);
    assert_true(scene->text.len < 200000);
    scene_close(scene);
}

static void test_pids_and_users(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){.pids = true});
    add(scene, "app", "/a", 100, 0);
    add(scene, "app", "/a", 100, 0);
    take(scene);
    assert_true(value_of(scene, "ebb_group_processes{group=\"app 100\"}") == 1);
    assert_true(value_of(scene, "ebb_group_processes{group=\"app 101\"}") == 1);
    scene_close(scene);
    scene = scene_open(&(struct metrics_options){.grouping = METRICS_BY_UID});
    add(scene, "app", "/a", 100, 0);
    scene->subjects[0].uid = 1000;
    take(scene);
    assert_true(value_of(scene, "ebb_group_processes{group=\"1000\"}") == 1);
    scene_close(scene);
}

static void test_titles_make_no_groups(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    add(scene, "postgres: joe shop 10.0.0.7(4410) idle", "/", 1, 0);
    add(scene, "postgres: checkpointer", "/", 1, 0);
    add(scene, "nginx -g daemon off;", "/", 1, 0);
    add(scene, "Web Content", "/", 1, 0);
    add(scene, ": odd", "/", 1, 0);
    take(scene);
    assert_true(value_of(scene, "ebb_group_processes{group=\"postgres\"}") == 2);
    assert_true(value_of(scene, "ebb_group_processes{group=\"nginx\"}") == 1);
    assert_true(value_of(scene, "ebb_group_processes{group=\"Web Content\"}") == 1);
    assert_true(value_of(scene, "ebb_group_processes{group=\": odd\"}") == 1);
    scene_close(scene);
}

static void test_hostile_names(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    add(scene, "a\nb\"c\\d\x1b[1m\xff\xc3\xa9\xe2\x80\xae", "/../../pods\n/x", 1, 0);
    // Two names, one label: they are counted together instead of being told twice.
    add(scene, "e\x01", "/..", 1, 0);
    add(scene, "e\\x01", "", 1, 0);
    take(scene);
    render(scene, METRICS_OPENMETRICS);
    assert_non_null(strstr(scene->text.data,
                           "ebb_group_processes{group=\"a\\\\x0ab\\\"c\\\\d\\\\x1b[1m\\\\xff\xc3"
                           "\xa9\\\\xe2\\\\x80\\\\xae\"} 1\n"));
    assert_true(value_of(scene, "ebb_group_processes{group=\"e\\\\x01\"}") == 2);
    assert_true(value_of(scene, "ebb_cgroup_processes{cgroup=\"/pods\\\\x0a/x\"}") == 1);
    assert_true(value_of(scene, "ebb_cgroup_processes{cgroup=\"/\"}") == 2);
    scene_close(scene);
}

// Subtrees count for their groups, as the kernel's figures do.
static void test_cgroup_figures(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){.is_complete = true});
    add(scene, "a", "/pods", 100 * mib, 10 * mib);
    add(scene, "b", "/pods/x", 100 * mib, 20 * mib);
    add(scene, "c", "/podsx", 100 * mib, 40 * mib);
    take(scene);
    const struct metrics_series *series;
    size_t count = metrics_cgroups(scene->metrics, &series);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        const struct cgroup cgroup = {
            .version = 2,
            .has_usage = true,
            .usage_bytes = 1000 * mib,
            .file_bytes = 300 * mib,
            .shmem_bytes = 100 * mib,
            .active_file_bytes = 100 * mib,
            .inactive_file_bytes = 194 * mib,
            .working_set_bytes = 806 * mib,
            .limit_bytes = strcmp(series[i].cgroup, "/pods") == 0 ? 2000 * mib : CGROUP_NO_LIMIT,
        };
        metrics_take_cgroup(scene->metrics, i, &cgroup);
    }
    double bytes = 1048576;
    // 294 MiB on the lists, 200 of files, 30 lazily freed: 64 were written again.
    assert_true(value_of(scene, "ebb_cgroup_working_set_underreports_bytes{cgroup=\"/pods\"}") ==
                64 * bytes);
    assert_true(value_of(scene, "ebb_cgroup_working_set_underreports{cgroup=\"/pods\"}") == 1);
    assert_true(value_of(scene, "ebb_cgroup_effective_working_set_bytes{cgroup=\"/pods\"}") ==
                870 * bytes);
    assert_true(value_of(scene, "ebb_cgroup_effective_usage_bytes{cgroup=\"/pods\"}") ==
                970 * bytes);
    assert_true(value_of(scene, "ebb_cgroup_limit_bytes{cgroup=\"/pods\"}") == 2000 * bytes);
    assert_true(value_of(scene, "ebb_cgroup_limit_bytes{cgroup=\"/podsx\"}") < 0);
    assert_true(value_of(scene, "ebb_cgroup_pglazyfree_total{cgroup=\"/pods\"}") < 0);
    scene_close(scene);
}

// Where somebody is missing, what looks written again may be lazily freed by them.
static void test_cgroup_figures_in_part(void **state)
{
    (void)state;
    struct cgroup cgroup = {
        .has_usage = true,
        .usage_bytes = 100,
        .inactive_file_bytes = 50,
        .working_set_bytes = 50,
        .limit_bytes = CGROUP_NO_LIMIT,
    };
    assert_false(cgroup_figures_make(&cgroup, 10, false).has_hidden);
    struct cgroup_figures figures = cgroup_figures_make(&cgroup, 10, true);
    assert_true(figures.has_hidden);
    assert_int_equal(figures.hidden_bytes, 40);
    assert_false(figures.is_underreported);
    // Readings of different moments.
    assert_int_equal(cgroup_figures_make(&cgroup, 1000, true).hidden_bytes, 0);
    assert_int_equal(cgroup_figures_make(&cgroup, 1000, true).effective_usage_bytes, 0);
    cgroup.file_bytes = 1000;
    assert_int_equal(cgroup_figures_make(&cgroup, 0, true).hidden_bytes, 0);
}

static void test_formats(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    add(scene, "app", "/a", 100, 0);
    take(scene);
    const char *text = render(scene, METRICS_OPENMETRICS);
    assert_non_null(strstr(text, "# TYPE ebb_group_cpu_seconds counter\n"
                                 "# UNIT ebb_group_cpu_seconds seconds\n"
                                 "# HELP ebb_group_cpu_seconds CPU time"));
    assert_non_null(strstr(text, "# TYPE ebb_build info\n"));
    assert_string_equal(text + scene->text.len - 6, "# EOF\n");
    text = render(scene, METRICS_CLASSIC);
    assert_non_null(strstr(text, "# TYPE ebb_group_cpu_seconds_total counter\n"
                                 "# HELP ebb_group_cpu_seconds_total CPU time"));
    assert_non_null(strstr(text, "# TYPE ebb_build_info gauge\n"));
    assert_non_null(strstr(text, "\nebb_build_info{version=\"" EBB_VERSION "\"} 1\n"));
    assert_null(strstr(text, "# EOF"));
    assert_null(strstr(text, "# UNIT"));
    scene_close(scene);
}

static void test_before_the_first_round(void **state)
{
    (void)state;
    struct scene *scene = scene_open(&(struct metrics_options){0});
    const struct metrics_scrape scrape = {.age_s = -1};
    assert_int_equal(metrics_render(scene->metrics, &scrape, &scene->text), 0);
    assert_null(strstr(scene->text.data, "ebb_sample_age_seconds"));
    assert_null(strstr(scene->text.data, "ebb_host_memory"));
    assert_non_null(strstr(scene->text.data, "ebb_build_info"));
    scene_close(scene);
}

static void test_what_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum metrics_format format;
    } cases[] = {
        {NULL, METRICS_CLASSIC},
        {"", METRICS_CLASSIC},
        {"*/*", METRICS_CLASSIC},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         METRICS_OPENMETRICS},
        {"text/plain;version=0.0.4, application/openmetrics-text;q=0.3", METRICS_CLASSIC},
        {"application/openmetrics-text;q=0", METRICS_CLASSIC},
        {"application/openmetrics-text;q=0.0", METRICS_CLASSIC},
        {"application/openmetrics-text", METRICS_OPENMETRICS},
        {";;,,;q=", METRICS_CLASSIC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(metrics_format_of(cases[i].accept), cases[i].format);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_are_sums),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_counters_never_fall),
        cmocka_unit_test(test_counters_of_the_rest),
        cmocka_unit_test(test_ten_thousand_groups),
        cmocka_unit_test(test_pids_and_users),
        cmocka_unit_test(test_titles_make_no_groups),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_cgroup_figures),
        cmocka_unit_test(test_cgroup_figures_in_part),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_before_the_first_round),
        cmocka_unit_test(test_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
