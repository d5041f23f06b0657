#include "consumer/bearer.h"

#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* RFC 6750 §2.1: b64token, the only characters that fit into the header as they are. */
static bool is_token_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~+/=", c) != NULL);
}

static struct slice next_word(struct slice *rest)
{
    struct slice word = { rest->start, 0 };
    while (rest->length > 0 && is_space(rest->start[0])) {
        rest->start++;
        rest->length--;
    }
    word.start = rest->start;
    while (word.length < rest->length && !is_space(rest->start[word.length]))
        word.length++;
    rest->start += word.length;
    rest->length -= word.length;
    return word;
}

static const char *judge(struct slice word, size_t count)
{
    if (count == BEARER_TOKENS_MAX)
        return "there may be at most 8 tokens";
    if (word.length < BEARER_BYTES_MIN)
        return "is shorter than 32 characters, so that it could be guessed: openssl rand -hex 32 makes a good one";
    if (word.length > BEARER_BYTES_MAX)
        return "is longer than 256 characters";
    for (size_t i = 0; i < word.length; i++)
        if (!is_token_byte(word.start[i]))
            return "may hold letters, digits and -._~+/= only";
    return NULL;
}

bool bearer_parse(struct slice text, struct bearer_tokens *tokens, struct text *problem)
{
    *tokens = (struct bearer_tokens){ 0 };
    for (struct slice word = next_word(&text); word.length > 0; word = next_word(&text)) {
        const char *why = judge(word, tokens->count);
        if (why != NULL) {
            text_printf(problem, "token %zu: %s", tokens->count + 1, why);
            bearer_wipe(tokens);
            return false;
        }
        struct bearer_token *token = &tokens->tokens[tokens->count++];
        token->length = word.length;
        memcpy(token->bytes, word.start, word.length);
    }
    return true;
}

void bearer_wipe(struct bearer_tokens *tokens)
{
    explicit_bzero(tokens, sizeof *tokens);
}

/* Every byte of the buffers is looked at, whatever they hold. */
static unsigned difference(const struct bearer_token *a, const struct bearer_token *b)
{
    const volatile char *x = a->bytes, *y = b->bytes;
    unsigned found = a->length != b->length;
    for (size_t i = 0; i < BEARER_BYTES_MAX; i++)
        found |= (unsigned)(unsigned char)(x[i] ^ y[i]);
    return found;
}

bool bearer_allows(const struct bearer_tokens *tokens, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    struct bearer_token given = { 0 };
    unsigned allowed = 0;
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *token = authorization + sizeof scheme - 1;
    token += strspn(token, " ");
    given.length = strlen(token);
    if (given.length > BEARER_BYTES_MAX)
        return false;
    memcpy(given.bytes, token, given.length);
    for (size_t i = 0; i < tokens->count; i++)
        allowed |= difference(&given, &tokens->tokens[i]) == 0;
    explicit_bzero(&given, sizeof given);
    return allowed != 0;
}
