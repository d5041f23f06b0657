/* Whether libcurl takes the SSL_CTX that is lent to its thread, and what of it stays from one connection to the next. */
#include "delivery/tls_context.h"
#include "tests/edge/tls_receiver.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

TestSuite(tls_context, .timeout = 60);

static SSL_CTX *make(void)
{
    return SSL_CTX_new(TLS_client_method());
}

static void *make_elsewhere(void *unused)
{
    (void)unused;
    return make();
}

Test(tls_context, only_the_thread_that_it_is_lent_to_gets_it)
{
    pthread_t thread;
    void *context = tls_context_create(), *elsewhere;
    tls_context_lend(context);
    SSL_CTX *here = make();
    cr_assert(pthread_create(&thread, NULL, make_elsewhere, NULL) == 0 && pthread_join(thread, &elsewhere) == 0);
    tls_context_lend(NULL);
    SSL_CTX *afterwards = make();
    cr_assert_eq((void *)here, context);
    cr_assert_neq(elsewhere, context);
    cr_assert_neq((void *)afterwards, context);
    cr_assert_neq((void *)afterwards, elsewhere);
    tls_context_destroy(elsewhere);
    tls_context_destroy(afterwards);
    tls_context_destroy(context);
    SSL *ssl = SSL_new(here); /* stands as long as somebody has it */
    cr_assert_not_null(ssl);
    SSL_free(ssl);
    tls_context_destroy(here);
}

/* As libcurl does for a connection that offers HTTP/2, and then for one that offers nothing. */
static bool first_message_offers_http2(SSL_CTX *context)
{
    static const char http2[] = { 2, 'h', '2' };
    char *bytes;
    SSL *ssl = SSL_new(context);
    BIO *memory = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), memory); /* nothing answers */
    SSL_connect(ssl);
    long length = BIO_get_mem_data(memory, &bytes);
    bool offers = memmem(bytes, (size_t)length, http2, sizeof(http2)) != NULL;
    SSL_free(ssl);
    return offers;
}

Test(tls_context, what_one_connection_offers_another_does_not)
{
    static const unsigned char protocols[] = "\x2h2\x8http/1.1";
    void *context = tls_context_create();
    tls_context_lend(context);
    SSL_CTX *first = make();
    cr_assert_eq(SSL_CTX_set_alpn_protos(first, protocols, sizeof(protocols) - 1), 0);
    cr_assert(first_message_offers_http2(first));
    SSL_CTX *second = make();
    cr_assert_not(first_message_offers_http2(second));
    tls_context_lend(NULL);
    tls_context_destroy(first);
    tls_context_destroy(second);
    tls_context_destroy(context);
}

static size_t take(char *bytes, size_t size, size_t count, void *unused)
{
    (void)bytes;
    (void)unused;
    return size * count;
}

static long get_with_libcurl(const struct tls_receiver *receiver)
{
    char url[64];
    long status = 0;
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", receiver->port);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CAINFO, receiver->ca_file);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    cr_expect_eq(curl_easy_perform(easy), CURLE_OK);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    return status;
}

/* The dynamic linker is what this rests on. */
Test(tls_context, libcurl_takes_the_one_that_is_lent)
{
    struct tls_receiver receiver;
    tls_receiver_start(&receiver, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    void *context = tls_context_create();
    for (int i = 1; i <= 2; i++) {
        tls_context_lend(context);
        cr_expect_eq(get_with_libcurl(&receiver), 200);
        tls_context_lend(NULL);
        cr_expect_eq(SSL_CTX_sess_connect_good((SSL_CTX *)context), i);
        cr_expect_eq(get_with_libcurl(&receiver), 200);
        cr_expect_eq(SSL_CTX_sess_connect_good((SSL_CTX *)context), i);
    }
    cr_expect_eq(atomic_load(&receiver.connections), 4);
    tls_context_destroy(context);
    tls_receiver_stop(&receiver);
}
