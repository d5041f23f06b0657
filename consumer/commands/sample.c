#include "consumer/commands/sample.h"

#include "consumer/base/json.h"

#include <string.h>

const struct sample samples[SAMPLE_KINDS] = {
    { "find_email", "{\"email\":\"ada@example.com\",\"confidence\":0.97}" },
    { "find_phone", "{\"phone\":\"+15550100\",\"country\":\"US\"}" },
    { "find_email_bulk", "{\"leads\":[{\"name\":\"Ada\",\"email\":\"ada@example.com\"},{\"name\":\"Grace\",\"email\":\"grace@example.com\"}]}" },
    { "find_phone_bulk", "{\"leads\":[{\"name\":\"Ada\",\"phone\":\"+15550100\"},{\"name\":\"Grace\",\"phone\":null}]}" },
    { "people_intelligence", "{\"name\":\"Ada Example\",\"title\":\"Engineer\",\"company\":\"Example Inc.\"}" },
    { "company_intelligence", "{\"company\":\"Example Inc.\",\"domain\":\"example.com\",\"employees\":42}" },
    { "research_agent", "{\"summary\":\"A test.\",\"sources\":[\"https://example.com/\"]}" },
    { "qa_agent", "{\"question\":\"Does it work?\",\"answer\":\"This is how you find out.\"}" },
};

const struct sample *sample_find(const char *type)
{
    for (size_t i = 0; i < SAMPLE_KINDS; i++)
        if (strcmp(type, samples[i].type) == 0)
            return &samples[i];
    return NULL;
}

void sample_append(const struct sample_wish *wish, struct text *text)
{
    struct json json;
    json_open(&json, text);
    json_string(&json, "task_id", wish->task_id);
    json_string(&json, "status", wish->failed ? SLICE("failed") : SLICE("completed"));
    json_string(&json, "task_type", slice_of(wish->sample->type));
    if (wish->failed)
        json_string(&json, "error", SLICE("this is a test of a job that failed"));
    else
        json_raw(&json, "result", slice_of(wish->sample->result));
    json_string(&json, "webhook_url", wish->url);
    json_close(&json);
}
