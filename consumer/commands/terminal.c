#include "consumer/commands/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS = 80, ROWS = 24 };

static struct winsize size_of(int descriptor)
{
    struct winsize size = { 0 };
    if (isatty(descriptor) != 1)
        return size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return (struct winsize){ .ws_col = COLUMNS, .ws_row = ROWS };
    return size;
}

size_t terminal_columns(int descriptor)
{
    return size_of(descriptor).ws_col;
}

size_t terminal_rows(int descriptor)
{
    return size_of(descriptor).ws_row;
}
