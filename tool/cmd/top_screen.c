// SPDX-License-Identifier: Apache-2.0
// The terminal of `ebb top`, see top_screen.h. Tool world.
#ifdef EBB_WITH_NCURSES
// The wide functions of curses.
#define _XOPEN_SOURCE_EXTENDED 1
#include "cmd/top_screen.h"

#include <curses.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

// Curses has one screen for each process in globals of its own; this is what belongs to ours.
struct top_screen {
    SCREEN *screen;
    bool color, unicode;
    bool lost; // the terminal went away
    struct sigaction old_actions[3];
};

// Not SIGWINCH, which curses takes itself and tells as a key; nor SIGTSTP, likewise.
static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

// Set by a signal, read between keys: a handler can reach nothing else. The one variable of ebb
// that is no function's: a signal has nowhere else to write to.
static volatile sig_atomic_t ends;

// The loop sees it at its next key or round.
static void on_end(int signal)
{
    (void)signal;
    ends = 1;
}

// Without SA_RESTART, so that a waiting poll() returns.
static void catch_signals(struct top_screen *screen)
{
    ends = 0;
    struct sigaction action = {.sa_handler = on_end};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ending_signals / sizeof ending_signals[0]; i++)
        sigaction(ending_signals[i], &action, &screen->old_actions[i]);
}

// The pairs of curses have the numbers of our colours.
static void start_colors(struct top_screen *screen)
{
    screen->color = screen->color && has_colors();
    if (!screen->color)
        return;
    start_color();
    // -1 is the terminal's own background, light or dark.
    use_default_colors();
    init_pair(COLOR_GOOD, COLOR_GREEN, -1);
    init_pair(COLOR_WARN, COLOR_YELLOW, -1);
    init_pair(COLOR_BAD, COLOR_RED, -1);
    init_pair(COLOR_LAZY, COLOR_CYAN, -1);
}

// newterm() rather than initscr(), which ends the process when TERM is unknown.
int top_screen_open(bool color, bool unicode, struct top_screen **ret_screen)
{
    struct top_screen *screen = calloc(1, sizeof *screen);
    if (!screen)
        return -ENOMEM;
    // Curses counts columns by the locale; without one every block character is three bytes of
    // noise.
    setlocale(LC_CTYPE, "");
    screen->screen = newterm(NULL, stdout, stdin);
    if (!screen->screen) {
        free(screen);
        return -ENOTTY;
    }
    // A terminal that cannot move its cursor would show every line over the last one.
    if (!tigetstr("cup")) {
        endwin();
        delscreen(screen->screen);
        free(screen);
        return -ENOTTY;
    }
    screen->color = color;
    screen->unicode = unicode;
    start_colors(screen);
    // Keys at once and unseen, Enter as it is sent, no cursor.
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    keypad(stdscr, TRUE);
    // An escape is told from a key's sequence after a moment that nobody notices.
    set_escdelay(25);
    // poll() waits, not curses: that one knows of no signals.
    nodelay(stdscr, TRUE);
    catch_signals(screen);
    *ret_screen = screen;
    return 0;
}

// In the order of the opening: the terminal first, so that whatever comes after can be read.
void top_screen_close(struct top_screen *screen)
{
    if (!screen)
        return;
    endwin();
    delscreen(screen->screen);
    for (size_t i = 0; i < sizeof ending_signals / sizeof ending_signals[0]; i++)
        sigaction(ending_signals[i], &screen->old_actions[i], NULL);
    free(screen);
}

// Dim is a colour in disguise: some terminals make it unreadable without colours.
static attr_t attributes_of(const struct top_screen *screen, enum render_color color)
{
    switch (color) {
    case COLOR_NONE:
        return A_NORMAL;
    case COLOR_BOLD:
        return A_BOLD;
    case COLOR_DIM:
        return screen->color ? A_DIM : A_NORMAL;
    default:
        return screen->color ? (attr_t)COLOR_PAIR(color) : A_NORMAL;
    }
}

// The text is cut to the screen already: the last cell of the last line is never written, which
// would scroll.
static void screen_put(void *context, unsigned line, unsigned column, enum render_color color,
                       bool is_inverse, const char *text)
{
    attr_t attributes = attributes_of(context, color) | (is_inverse ? A_REVERSE : 0);
    attrset((int)attributes);
    // Beyond the screen it fails, and nothing is drawn there.
    mvaddstr((int)line, (int)column, text);
}

// Curses keeps it up to date with the terminal's size.
unsigned top_screen_lines(const struct top_screen *screen)
{
    (void)screen;
    return LINES > 0 ? (unsigned)LINES : 0;
}

// Erased and painted anew; curses sends the difference.
int top_screen_draw(struct top_screen *screen, const struct top *top, struct top_view *view)
{
    struct canvas canvas = {.lines = top_screen_lines(screen),
                            .columns = COLS > 0 ? (unsigned)COLS : 0,
                            .unicode = screen->unicode,
                            .context = screen,
                            .put = screen_put};
    if (canvas.lines == 0 || canvas.columns == 0)
        return 0;
    erase();
    int error = top_draw(top, view, &canvas);
    refresh();
    return error;
}

// 0 for keys that mean nothing here, such as a change of size.
static uint32_t key_of(wint_t key)
{
    static const struct {
        wint_t curses;
        uint32_t key;
    } keys[] = {
        {KEY_UP, TOP_KEY_UP},         {KEY_DOWN, TOP_KEY_DOWN},
        {KEY_LEFT, TOP_KEY_LEFT},     {KEY_RIGHT, TOP_KEY_RIGHT},
        {KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
        {KEY_HOME, TOP_KEY_HOME},     {KEY_END, TOP_KEY_END},
        {KEY_ENTER, TOP_KEY_ENTER},   {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].curses == key)
            return keys[i].key;
    return 0;
}

// Terminals do not agree on what Enter and Backspace send.
static uint32_t key_of_character(wint_t character)
{
    switch (character) {
    case '\r':
    case '\n':
        return TOP_KEY_ENTER;
    case 27:
        return TOP_KEY_ESCAPE;
    case 8:
    case 127:
        return TOP_KEY_BACKSPACE;
    default:
        return (uint32_t)character;
    }
}

// What curses has read ahead of its time comes first: poll() does not know of it. So does a change
// of size, which curses tells as a key.
static int wait_for_key(struct top_screen *screen, uint64_t wait_ms, wint_t *ret_key)
{
    int kind = get_wch(ret_key);
    if (kind != ERR)
        return kind;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    // Milliseconds beyond an int are 24 days: then it wakes up once more.
    int ready = poll(&input, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
    kind = get_wch(ret_key);
    // Ready, and yet nothing to read: the terminal is gone.
    if (kind == ERR && ready > 0 && input.revents & (POLLHUP | POLLERR | POLLNVAL))
        screen->lost = true;
    return kind;
}

bool top_screen_key(struct top_screen *screen, uint64_t wait_ms, uint32_t *ret_key)
{
    wint_t key;
    int kind = wait_for_key(screen, wait_ms, &key);
    if (kind == ERR)
        return false;
    uint32_t known = kind == KEY_CODE_YES ? key_of(key) : key_of_character(key);
    if (known != 0)
        *ret_key = known;
    return known != 0;
}

// Asked after each wait, never from within a handler.
bool top_screen_ends(const struct top_screen *screen)
{
    return ends || screen->lost;
}

#endif
