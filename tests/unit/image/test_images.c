// SPDX-License-Identifier: Apache-2.0
// The files behind live processes: this one, one whose program is gone or replaced, and a tree of
// plain files. Test code.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/image.h"
#include "proc/process.h"
#include "support/child.h"

static const char marker_text[] = "a text that stands in this program once: 5e1f";
static char zeros[1 << 20];

struct view {
    struct process *process;
    struct mappings mappings;
    struct images images;
    size_t skipped;
};

static void view_open(struct view *view, const char *root, pid_t pid)
{
    *view = (struct view){0};
    assert_int_equal(process_open(root, pid, &view->process), 0);
    assert_int_equal(mappings_read(view->process, &view->mappings), 0);
    assert_int_equal(images_open(view->process, &view->mappings, &view->images, &view->skipped), 0);
}

static void view_close(struct view *view)
{
    images_close(&view->images);
    mappings_free(&view->mappings);
    process_close(view->process);
}

static uint64_t address_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static void check_main_image(const struct image *image)
{
    assert_true(image->is_main);
    assert_false(image->is_static);
    struct image_symbol symbols[2];
    static const char *const names[] = {"marker_text", "main"};
    assert_int_equal(image_find_symbols(image, names, 2, symbols), 2);
    assert_int_equal(image->bias + symbols[0].value, address_of(marker_text));
    assert_int_equal(symbols[0].size, sizeof marker_text);
    char copy[sizeof marker_text];
    assert_int_equal(image_read(image, symbols[0].value, copy, sizeof copy), 0);
    assert_memory_equal(copy, marker_text, sizeof copy);
    uint64_t found;
    assert_int_equal(image_find_bytes(image, ".rodata", marker_text, sizeof marker_text, 0, &found),
                     0);
    assert_int_equal(image->bias + found, address_of(marker_text));
    // What has no place in the file belongs to the image as well.
    assert_true(image->low <= address_of(zeros) && address_of(zeros) + sizeof zeros <= image->high);
    assert_int_equal(image_read(image, address_of(zeros) - image->bias + 4096, copy, 1), -ENXIO);
}

// The loader's own list says where each object is.
static int compare_with_loader(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    const struct view *view = argument;
    if (strstr(info->dlpi_name, "vdso"))
        return 0;
    uint64_t header = address_of(info->dlpi_phdr);
    const struct image *image = images_by_address(&view->images, header);
    assert_non_null(image);
    assert_int_equal(image->bias, info->dlpi_addr);
    return 0;
}

static void test_this_program(void **state)
{
    (void)state;
    struct view view;
    view_open(&view, "/proc", getpid());
    assert_int_equal(view.skipped, 0);
    check_main_image(images_main(&view.images));
    assert_ptr_equal(images_main(&view.images), &view.images.items[0]);
    dl_iterate_phdr(compare_with_loader, &view);
    const struct image *libc = images_by_name(&view.images, "libc.so");
    assert_non_null(libc);
    assert_false(libc->is_main);
    struct image_symbol symbol;
    assert_int_equal(image_find_symbols(libc, (const char *const[]){"malloc"}, 1, &symbol), 1);
    // From libc itself: a sanitizer puts its own in front.
    void *handle = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    assert_non_null(handle);
    assert_int_equal(libc->bias + symbol.value, address_of(dlsym(handle, "malloc")));
    dlclose(handle);
    assert_null(images_by_name(&view.images, "ibc.so"));
    assert_null(images_by_address(&view.images, 1));
    view_close(&view);
}

static void copy_file(const char *from, const char *to)
{
    char block[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    assert_true(in >= 0 && out >= 0);
    ssize_t got;
    while ((got = read(in, block, sizeof block)) > 0)
        assert_int_equal(write(out, block, (size_t)got), got);
    assert_int_equal(fchmod(out, 0755), 0);
    close(in);
    close(out);
}

static void run_program(struct child *self, void *argument)
{
    if (dup2(self->from, 0) < 0 || dup2(self->to, 1) < 0)
        _exit(1);
    execl(argument, argument, "sleeper", NULL);
    _exit(1);
}

// This program as a target: says that it runs, and waits.
static int run_as_target(void)
{
    char byte = 0;
    if (write(1, &byte, 1) != 1)
        return 1;
    return (int)read(0, &byte, 1);
}

static void start_copy(struct child *child, char *path)
{
    copy_file("/proc/self/exe", path);
    child_start(child, run_program, path);
    child_wait_step(child);
}

// The copy is the same program, but elsewhere in memory.
static void check_copy(const struct image *image)
{
    struct image_symbol symbol;
    char text[sizeof marker_text];
    assert_non_null(image);
    assert_int_equal(image_find_symbols(image, (const char *const[]){"marker_text"}, 1, &symbol),
                     1);
    assert_int_equal(image_read(image, symbol.value, text, sizeof text), 0);
    assert_memory_equal(text, marker_text, sizeof text);
}

static void test_deleted_and_replaced_program(void **state)
{
    (void)state;
    char path[] = "/tmp/ebb-image-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct child child;
    struct view view;
    start_copy(&child, path);
    unlink(path);
    view_open(&view, "/proc", child.pid);
    check_copy(images_main(&view.images));
    assert_string_equal(images_main(&view.images)->path, path);
    view_close(&view);
    // Another file has the name now.
    copy_file("/bin/sh", path);
    view_open(&view, "/proc", child.pid);
    check_copy(images_main(&view.images));
    view_close(&view);
    child_stop(&child);
    unlink(path);
}

static void put_file(const char *directory, const char *name, const char *contents, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(contents, 1, len, file), len);
    fclose(file);
}

static void copy_proc_file(struct process *process, const char *directory, const char *name)
{
    struct buffer file = {0};
    assert_int_equal(process_read_file(process, name, 1 << 20, &file), 0);
    put_file(directory, name, file.data, file.len);
    buffer_free(&file);
}

// A copy of this process's text files, with the real root below: nothing says which file is which
// but names.
static void test_plain_tree(void **state)
{
    (void)state;
    char root[] = "/tmp/ebb-images-XXXXXX", directory[64], link[80], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(directory, sizeof directory, "%s/31", root);
    assert_int_equal(mkdir(directory, 0755), 0);
    struct process *self;
    assert_int_equal(process_open("/proc", getpid(), &self), 0);
    copy_proc_file(self, directory, "stat");
    copy_proc_file(self, directory, "smaps");
    copy_proc_file(self, directory, "auxv");
    process_close(self);
    struct view view;
    view_open(&view, root, 31);
    // Without exe and root nothing can be opened, and that is no failure.
    assert_int_equal(view.images.count, 0);
    assert_true(view.skipped > 0);
    assert_int_equal(view.skipped, view.images.unread_count);
    assert_int_equal(view.images.unread[0].error, -ENOENT);
    assert_null(images_main(&view.images));
    view_close(&view);
    snprintf(link, sizeof link, "%s/root", directory);
    assert_int_equal(symlink("/", link), 0);
    view_open(&view, root, 31);
    assert_int_equal(view.skipped, 0);
    // Known by its entry point.
    check_main_image(images_main(&view.images));
    view_close(&view);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

// An executable mapping of a file that is not ELF, as compilers at run time make them.
static void test_unread_files(void **state)
{
    (void)state;
    char path[] = "/tmp/ebb-unread-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    void *area = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    close(fd);
    assert_ptr_not_equal(area, MAP_FAILED);
    struct view view;
    view_open(&view, "/proc", getpid());
    assert_int_equal(view.skipped, 1);
    assert_string_equal(view.images.unread[0].path, path);
    assert_int_equal(view.images.unread[0].error, -ENOEXEC);
    check_main_image(images_main(&view.images));
    view_close(&view);
    munmap(area, 8192);
    unlink(path);
}

// A program that maps its own file to read it is not loaded twice.
static void test_file_mapped_for_reading(void **state)
{
    (void)state;
    int fd = open("/proc/self/exe", O_RDONLY);
    assert_true(fd >= 0);
    void *area = mmap((void *)0x10000000, 65536, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    assert_ptr_not_equal(area, MAP_FAILED);
    struct view view;
    view_open(&view, "/proc", getpid());
    check_main_image(images_main(&view.images));
    view_close(&view);
    munmap(area, 65536);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sleeper") == 0)
        return run_as_target();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_program),
        cmocka_unit_test(test_deleted_and_replaced_program),
        cmocka_unit_test(test_plain_tree),
        cmocka_unit_test(test_unread_files),
        cmocka_unit_test(test_file_mapped_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
