#include "consumer/commands/findings.h"

#include "consumer/base/memory.h"
#include "consumer/commands/shown.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 2000 };

static const char *const state_names[FINDING_STATES] = { [FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_BROKEN] = "broken" };

void findings_add(struct findings *findings, enum finding_state state, const char *subject, const char *cure, const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    findings->rows = memory_resize(findings->rows, (findings->count + 1) * sizeof *findings->rows);
    findings->rows[findings->count++] = (struct finding){ .state = state,
                                                          .subject = memory_copy(subject, strlen(subject)),
                                                          .text = memory_copy(text, strlen(text)),
                                                          .cure = cure == NULL ? NULL : memory_copy(cure, strlen(cure)) };
}

void findings_finish(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->rows[i].subject);
        free(findings->rows[i].text);
        free(findings->rows[i].cure);
    }
    free(findings->rows);
    *findings = (struct findings){ 0 };
}

size_t findings_count(const struct findings *findings, enum finding_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->rows[i].state == state;
    return count;
}

/* Names and errors come from outside: nothing that a terminal would act on. */
static void append_shown(struct text *text, const char *string)
{
    shown_append(text, slice_of(string), SIZE_MAX);
}

void findings_write(const struct findings *findings, struct text *text)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->rows[i];
        text_printf(text, "%-8s ", state_names[finding->state]);
        append_shown(text, finding->subject);
        text_append_string(text, ": ");
        append_shown(text, finding->text);
        if (finding->cure != NULL) {
            text_append_string(text, "\n         -> ");
            append_shown(text, finding->cure);
        }
        text_append_char(text, '\n');
    }
    text_printf(text, "%zu ok, %zu warning%s, %zu broken\n", findings_count(findings, FINDING_OK), findings_count(findings, FINDING_WARNING),
                findings_count(findings, FINDING_WARNING) == 1 ? "" : "s", findings_count(findings, FINDING_BROKEN));
}

static void append_member(struct text *text, const char *name, const char *value)
{
    text_printf(text, "\"%s\":", name);
    if (value == NULL)
        text_append_string(text, "null");
    else
        text_append_json(text, slice_of(value));
}

void findings_write_json(const struct findings *findings, struct text *text)
{
    text_append_string(text, "{\"findings\":[");
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->rows[i];
        text_append_string(text, i == 0 ? "{" : ",{");
        append_member(text, "state", state_names[finding->state]);
        text_append_char(text, ',');
        append_member(text, "subject", finding->subject);
        text_append_char(text, ',');
        append_member(text, "text", finding->text);
        text_append_char(text, ',');
        append_member(text, "cure", finding->cure);
        text_append_char(text, '}');
    }
    text_append_char(text, ']');
    for (int state = 0; state < FINDING_STATES; state++)
        text_printf(text, ",\"%s\":%zu", state_names[state], findings_count(findings, (enum finding_state)state));
    text_append_string(text, "}\n");
}
