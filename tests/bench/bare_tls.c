/* What OpenSSL alone takes for a POST on a connection of its own: connect, resume the session before, send, read to the end. Nobody's sender can be
 * cheaper than with one context for all connections; libcurl makes one for each. Prints the CPU of both, in microseconds for each POST.
 *
 *   bare_tls PORT CA-FILE [POSTS]      to 127.0.0.1; started by tests/bench/https.sh */
#include "consumer/base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WARM_UP = 50, BODY_BYTES = 230, REQUEST_BYTES = 512, POSTS_MAX = 1000000 };

static X509_STORE *store;
static SSL_SESSION *session; /* the newest */
static char request[REQUEST_BYTES];
static struct sockaddr_in receiver = { .sin_family = AF_INET };

static double cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int on_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = fresh;
    return 1;
}

static SSL_CTX *create_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert(context != NULL);
    SSL_CTX_set1_cert_store(context, store);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    return context;
}

static int connect_to_receiver(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert(fd >= 0 && connect(fd, (struct sockaddr *)&receiver, sizeof(receiver)) == 0);
    return fd;
}

/* Whether the session before was resumed. */
static bool post(SSL_CTX *context)
{
    char answer[4096];
    int fd = connect_to_receiver();
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (session != NULL)
        SSL_set_session(ssl, session);
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, (int)strlen(request)) <= 0 || SSL_read(ssl, answer, sizeof(answer)) <= 0) {
        fputs("bare_tls: no answer\n", stderr);
        exit(1);
    }
    while (SSL_read(ssl, answer, sizeof(answer)) > 0)
        ;
    bool resumed = SSL_session_reused(ssl) == 1;
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    return resumed;
}

static void measure(long posts, bool shared, const char *what)
{
    SSL_CTX *context = create_context();
    double begin = 0;
    long resumed = 0;
    for (long i = -WARM_UP; i < posts; i++) {
        if (i == 0)
            begin = cpu_us();
        SSL_CTX *own = shared ? context : create_context();
        resumed += post(own) && i >= 0;
        if (!shared)
            SSL_CTX_free(own);
    }
    printf("%s: %.1f us for each POST, %ld of %ld sessions resumed\n", what, (cpu_us() - begin) / (double)posts, resumed, posts);
    SSL_CTX_free(context);
}

int main(int count, char **arguments)
{
    long posts = count > 3 ? strtol(arguments[3], NULL, 10) : 2000;
    if (count < 3 || posts < 1 || posts > POSTS_MAX) {
        fputs("usage: bare_tls PORT CA-FILE [POSTS]\n", stderr);
        return 2;
    }
    char body[BODY_BYTES + 1];
    memset(body, 'x', BODY_BYTES);
    body[BODY_BYTES] = '\0';
    snprintf(request, sizeof(request), "POST /hook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
             BODY_BYTES, body);
    receiver.sin_port = htons((uint16_t)strtoul(arguments[1], NULL, 10));
    receiver.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    store = X509_STORE_new();
    assert(X509_STORE_load_file(store, arguments[2]) == 1);
    measure(posts, true, "OpenSSL alone, one context");
    measure(posts, false, "OpenSSL alone, a context for each connection");
    SSL_SESSION_free(session);
    X509_STORE_free(store);
    return 0;
}
