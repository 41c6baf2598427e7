// SPDX-License-Identifier: Apache-2.0
// Every form of C++'s operator new and delete, what they throw, and the new-handler: "good", or
// what is wrong. Which heap serves them is asked of libebb, which must be linked in.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <ebb/ebb.h>

namespace
{

int wrong = 0;
int handler_calls = 0;

// The compiler may leave out a new and its delete that it sees together.
template <typename T> T *seen(T *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

void check(bool good, const char *what)
{
    if (!good) {
        std::printf("wrong: %s\n", what);
        wrong++;
    }
}

uint64_t live()
{
    ebb_stats stats;
    return ebb_get_stats(&stats, sizeof stats) == 0 ? stats.heap_objects : 0;
}

// A block that libebb counts, whole and aligned.
void *use(void *pointer, size_t bytes, size_t align, uint64_t before, const char *what)
{
    check(pointer && reinterpret_cast<uintptr_t>(pointer) % align == 0, what);
    check(live() == before + 1, what);
    return seen(std::memset(pointer, 0x5a, bytes));
}

void try_forms(size_t bytes)
{
    const auto wide = std::align_val_t{256};
    uint64_t before = live();
    ::operator delete(use(::operator new(bytes), bytes, 16, before, "new"));
    ::operator delete(use(::operator new(bytes), bytes, 16, before, "sized"), bytes);
    ::operator delete[](use(::operator new[](bytes), bytes, 16, before, "new[]"));
    ::operator delete[](use(::operator new[](bytes), bytes, 16, before, "sized[]"), bytes);
    ::operator delete(use(::operator new(bytes, std::nothrow), bytes, 16, before, "nothrow"),
                      std::nothrow);
    ::operator delete[](use(::operator new[](bytes, std::nothrow), bytes, 16, before, "nothrow[]"),
                        std::nothrow);
    ::operator delete(use(::operator new(bytes, wide), bytes, 256, before, "aligned"), wide);
    ::operator delete(use(::operator new(bytes, wide), bytes, 256, before, "aligned sized"), bytes,
                      wide);
    ::operator delete[](use(::operator new[](bytes, wide), bytes, 256, before, "aligned[]"), wide);
    ::operator delete[](use(::operator new[](bytes, wide), bytes, 256, before, "aligned sized[]"),
                        bytes, wide);
    ::operator delete(
        use(::operator new(bytes, wide, std::nothrow), bytes, 256, before, "aligned nothrow"), wide,
        std::nothrow);
    ::operator delete[](
        use(::operator new[](bytes, wide, std::nothrow), bytes, 256, before, "aligned nothrow[]"),
        wide, std::nothrow);
    check(live() == before, "each delete");
}

struct alignas(128) wide_type {
    char bytes[200];
};

void try_expressions()
{
    auto *one = seen(new wide_type);
    check(reinterpret_cast<uintptr_t>(one) % 128 == 0, "an expression's alignment");
    delete one;
    auto *many = seen(new std::string[100]);
    many[99] = std::string(1000, 'x');
    delete[] many;
    std::vector<std::unique_ptr<std::string>> strings;
    for (int i = 0; i < 10000; i++)
        strings.push_back(std::make_unique<std::string>(i % 100, 'y'));
    std::thread([&] { strings.clear(); }).join();
}

bool throws(size_t bytes)
{
    try {
        ::operator delete(seen(::operator new(bytes)));
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

// Gives up the second time.
void handle()
{
    if (++handler_calls == 2)
        std::set_new_handler(nullptr);
}

void try_failures()
{
    volatile size_t much = SIZE_MAX / 2;
    check(throws(much), "bad_alloc");
    check(!seen(::operator new(much, std::nothrow)), "nothrow returns null");
    std::set_new_handler(handle);
    check(throws(much) && handler_calls == 2, "the handler is called until it gives up");
    std::set_new_handler([] { throw 7; });
    try {
        ::operator delete(seen(::operator new(much)));
    } catch (int number) {
        check(number == 7, "what the handler throws");
        handler_calls++;
    }
    check(handler_calls == 3, "the handler's exception passes");
    std::set_new_handler(nullptr);
}

} // namespace

int main()
{
    try_forms(1);
    try_forms(100);
    try_forms(30000);
    try_forms(3000000);
    try_expressions();
    try_failures();
    std::puts(wrong ? "bad" : "good");
    return wrong != 0;
}
