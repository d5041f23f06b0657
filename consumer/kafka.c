#include "consumer/kafka.h"

#include "consumer/base/log.h"
#include "consumer/certificates.h"

#include <ctype.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#define TO(role) (1u << (role))
#define TO_ALL   (TO(KAFKA_CONSUMER) | TO(KAFKA_READER) | TO(KAFKA_PRODUCER) | TO(KAFKA_ADMIN))
#define TO_READ  (TO(KAFKA_CONSUMER) | TO(KAFKA_READER))

static const struct property {
    unsigned roles;
    const char *name, *value;
    bool newer; /* librdkafka 2.0.2 does not know it: left out there */
} properties[] = {
    { TO_ALL, "client.id", "jobhook", false },
    { TO_ALL, "socket.nagle.disable", "true", false },
    { TO_READ, "allow.auto.create.topics", "false", false },

    /* Stored offsets are committed in the background; the ledger alone decides what is stored. */
    { TO(KAFKA_CONSUMER), "enable.auto.commit", "true", false },
    { TO(KAFKA_CONSUMER), "auto.commit.interval.ms", "1000", false },
    { TO_READ, "enable.auto.offset.store", "false", false },
    /* The default, latest, would silently lose the events published before the first start. */
    { TO_READ, "auto.offset.reset", "earliest", false },
    { TO_READ, "isolation.level", "read_committed", false },
    /* Range: the same partition of all topics in one copy. Eager: cooperative loses assignments before 2.10. */
    { TO(KAFKA_CONSUMER), "partition.assignment.strategy", "range", false },
    { TO(KAFKA_CONSUMER), "session.timeout.ms", "15000", false },
    { TO(KAFKA_CONSUMER), "heartbeat.interval.ms", "1000", false },
    /* The position at the end finishes trailing transaction markers and compacted tails. */
    { TO_READ, "enable.partition.eof", "true", false },
    { TO(KAFKA_CONSUMER), "topic.metadata.refresh.interval.ms", "10000", false },
    /* A partition that was just assigned waits for the fetch that is under way, on idle retry topics that long; the default is 500. */
    { TO(KAFKA_CONSUMER), "fetch.wait.max.ms", "200", false },
    /* A partition whose queue was found full rests that long; the default is a whole second. */
    { TO_READ, "fetch.queue.backoff.ms", "10", true },

    { TO(KAFKA_READER), "enable.auto.commit", "false", false },
    /* The end should be seen soon; and a partition whose queue is full rests for a second with 2.0.2, so the bytes alone bound it. */
    { TO(KAFKA_READER), "fetch.wait.max.ms", "50", false },
    { TO(KAFKA_READER), "queued.min.messages", "1000000", false },
    { TO(KAFKA_READER), "queued.max.messages.kbytes", "4096", false },

    { TO(KAFKA_PRODUCER), "acks", "all", false },
    /* Claims absorb a doubled record; idempotence has fatal errors in 2.0.2. */
    { TO(KAFKA_PRODUCER), "enable.idempotence", "false", false },
    { TO(KAFKA_PRODUCER), "message.timeout.ms", "12000", false },
    /* Enough to fill batches under load, nothing that a retry would notice. */
    { TO(KAFKA_PRODUCER), "linger.ms", "2", false },
    { TO(KAFKA_PRODUCER), "compression.type", "none", false },
    /* The largest that librdkafka knows: the topic's own limit decides, so that a letter is shortened only when it has to be. */
    { TO(KAFKA_PRODUCER), "message.max.bytes", "1000000000", false },
};

/* ---- what to do ---- */

static const struct cure {
    const char *sign; /* in the text */
    const char *cure;
} cures[] = {
    /* the first that fits; texts of librdkafka 2.0 to 2.8, OpenSSL 3 and Kafka 3 and 4 */
    { "certificate has expired", "renew the brokers' certificate" },
    { "certificate is not yet valid", "see that the clocks are right" },
    { "alert certificate required", "the brokers ask for a client certificate: set KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION" },
    { "alert certificate expired", "our client certificate has expired: renew KAFKA_SSL_CERTIFICATE_LOCATION" },
    { "alert certificate unknown", "the brokers do not take our client certificate: see KAFKA_SSL_CERTIFICATE_LOCATION, and whether it has expired" },
    { "alert bad certificate", "the brokers ask for a client certificate, and do not take ours, or get none: see KAFKA_SSL_CERTIFICATE_LOCATION" },
    { "alert unknown ca", "the brokers do not know the CA of our client certificate: see KAFKA_SSL_CERTIFICATE_LOCATION" },
    { "address mismatch", "the addresses in JOBHOOK_KAFKA_BROKERS and in the brokers' advertised.listeners must be in their certificates" },
    { "ostname mismatch", "the names in JOBHOOK_KAFKA_BROKERS and in the brokers' advertised.listeners must be in their certificates" },
    { "local issuer certificate", "KAFKA_SSL_CA_LOCATION must name the CA of the brokers' certificates" },
    { "self-signed certificate", "KAFKA_SSL_CA_LOCATION must name the CA of the brokers' certificates" },
    { "certificate verify failed", "KAFKA_SSL_CA_LOCATION must name the CA of the brokers' certificates; these must be valid, and name the brokers" },
    { "Authentication failed", "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to a login that the brokers know" },
    { "authentication failed", "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to a login that the brokers know" },
    { "nvalid credentials", "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to a login that the brokers know" },
    { "OAUTHBEARER", "jobhook has no token callback: use SCRAM, PLAIN or client certificates, or sasl.oauthbearer.method=oidc" },
    { "Unsupported SASL mechanism", "set KAFKA_SASL_MECHANISM to one that the brokers offer" },
    { "connecting to a SSL listener", "set KAFKA_SECURITY_PROTOCOL to ssl or sasl_ssl, or use the port of the plain listener" },
    { "connecting to a PLAINTEXT broker listener", "set KAFKA_SECURITY_PROTOCOL to plaintext, or use the port of the TLS listener" },
    { "security.protocol", "KAFKA_SECURITY_PROTOCOL must be that of the listener: plaintext, ssl, sasl_plaintext or sasl_ssl" },
    { "Topic authorization failed", "allow this login Read, Write and Describe on the input topic and all that begin with its name" },
    { "Group authorization failed", "allow this login Read on the group that JOBHOOK_GROUP names" },
    { "Cluster authorization failed", "allow this login what it asks of the cluster (topics create: Create)" },
    { "Failed to resolve", "see that the names in JOBHOOK_KAFKA_BROKERS and in the brokers' advertised.listeners can be looked up here" },
    { "Connection refused", "see that the brokers run and that the port in JOBHOOK_KAFKA_BROKERS is right" },
};

enum { SCRAM_WORKS = 0x02060100 };

/* librdkafka #4895: it sent one nonce twice, and brokers look at it since Kafka 4.0. */
static bool is_old_scram(const char *text)
{
    return rd_kafka_version() < SCRAM_WORKS && strstr(text, "uthentication failed") != NULL && strstr(text, "SCRAM") != NULL;
}

const char *kafka_cure(const char *text)
{
    if (is_old_scram(text))
        return "see KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD; to brokers since Kafka 4.0 this librdkafka (before 2.6.1) cannot log in by SCRAM at "
               "all: use "
               "PLAIN with TLS, a client certificate, or Debian 13";
    for (size_t i = 0; i < COUNT_OF(cures); i++)
        if (strstr(text, cures[i].sign) != NULL)
            return cures[i].cure;
    return NULL;
}

/* ---- librdkafka's log lines ---- */

enum { LOG_GATES = 16, LOG_EVERY_MS = 10000 };

/* One gate for each facility (FAIL, MAXPOLL …); those that come after the table is full share the last one. librdkafka logs from all its threads. */
static struct {
    pthread_mutex_t mutex;
    size_t count;
    struct {
        char facility[16];
        struct log_gate gate;
    } gates[LOG_GATES];
} logging = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static struct log_gate *log_gate_of(const char *facility)
{
    for (size_t i = 0; i < logging.count; i++)
        if (strncmp(logging.gates[i].facility, facility, sizeof logging.gates[i].facility - 1) == 0)
            return &logging.gates[i].gate;
    if (logging.count == LOG_GATES)
        return &logging.gates[LOG_GATES - 1].gate;
    snprintf(logging.gates[logging.count].facility, sizeof logging.gates[0].facility, "%s", facility);
    return &logging.gates[logging.count++].gate;
}

/* syslog's levels: 0–2 critical, 3–4 error and warning (both pass by themselves: librdkafka reconnects), 5–6 notice and info, 7 debug. */
static enum log_level log_level_of(int syslog_level)
{
    if (syslog_level <= 2)
        return LOG_ERROR;
    if (syslog_level <= 4)
        return LOG_WARN;
    return syslog_level <= 6 ? LOG_INFO : LOG_DEBUG;
}

/* The pass-through goes to every role, so that each gets properties that are meant for another. */
static bool is_of_no_concern(const char *facility, const char *message)
{
    return strcmp(facility, "CONFWARN") == 0 && strstr(message, "will be ignored by this") != NULL;
}

static void log_line(const rd_kafka_t *handle, int syslog_level, const char *facility, const char *message)
{
    enum log_level level = log_level_of(syslog_level);
    uint64_t suppressed = 0;
    (void)handle;
    if (!log_wants(level) || is_of_no_concern(facility, message))
        return;
    pthread_mutex_lock(&logging.mutex);
    bool open = level == LOG_DEBUG || log_gate_opens(log_gate_of(facility), LOG_EVERY_MS, &suppressed);
    pthread_mutex_unlock(&logging.mutex);
    const char *cure = kafka_cure(message);
    struct log_field fields[] = {
        LOG_STRING("facility", facility), LOG_STRING("text", message), LOG_I("suppressed", suppressed), LOG_STRING("cure", cure), { .kind = LOG_END }
    };
    if (cure == NULL)
        fields[COUNT_OF(fields) - 2].kind = LOG_END;
    if (open)
        log_write(level, "librdkafka says", fields);
}

/* ---- the configuration ---- */

/* Decides nothing: makes librdkafka's log say what OpenSSL found wrong with a broker's certificate, which it does not do by itself. */
static int judge_certificate(rd_kafka_t *handle, const char *broker, int32_t id, int *x509_error, int depth, const char *certificate, size_t size,
                             char *problem, size_t problem_size, void *opaque)
{
    (void)handle, (void)broker, (void)id, (void)depth, (void)certificate, (void)size, (void)opaque;
    if (*x509_error == 0)
        return 1;
    snprintf(problem, problem_size, "%s", certificate_refusal(*x509_error));
    return 0;
}

bool kafka_conf_try(struct rd_kafka_conf_s *conf, const char *name, const char *value)
{
    char error[256];
    return rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK;
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *problem, size_t size)
{
    char error[256];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK)
        return true;
    snprintf(problem, size, "librdkafka does not take %s=%s: %s", name, value, error);
    return false;
}

static bool set_own(rd_kafka_conf_t *conf, const struct settings *settings, enum kafka_role role, char *problem, size_t size)
{
    char bytes[32];
    bool is_reading = TO(role) & TO_READ;
    for (size_t i = 0; i < COUNT_OF(properties); i++) {
        const struct property *property = &properties[i];
        if (!(property->roles & TO(role)))
            continue;
        if (!kafka_conf_try(conf, property->name, property->value) && !property->newer)
            return set(conf, property->name, property->value, problem, size);
    }
    if (settings->kafka_brokers != NULL && !set(conf, "bootstrap.servers", settings->kafka_brokers, problem, size))
        return false;
    if (is_reading && !set(conf, "group.id", settings->group, problem, size))
        return false;
    /* What a consumer may be handed in one piece: librdkafka raises its fetch limits to it. */
    snprintf(bytes, sizeof bytes, "%" PRIu64, settings->max_event_bytes + KAFKA_RECORD_EXTRA_BYTES);
    return !is_reading || set(conf, "message.max.bytes", bytes, problem, size);
}

/* session.timeout.ms is KAFKA_SESSION_TIMEOUT_MS. */
static void variable_name(const char *property, char *name, size_t size)
{
    snprintf(name, size, "KAFKA_%s", property);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

/* Its own sentence repeats the value, but for what this build of librdkafka cannot do at all. */
static bool may_be_told(const char *error, const struct kafka_property *property)
{
    return !property->secret || (strstr(error, "not supported") != NULL && strstr(error, property->value) == NULL);
}

static bool set_passed_on(rd_kafka_conf_t *conf, const struct kafka_property *property, char *problem, size_t size)
{
    char error[256], variable[128];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, property->name, property->value, error, sizeof error);
    if (result == RD_KAFKA_CONF_OK)
        return true;
    variable_name(property->name, variable, sizeof variable);
    if (result == RD_KAFKA_CONF_UNKNOWN)
        snprintf(problem, size, "%s: librdkafka %s knows no property %s", variable, rd_kafka_version_str(), property->name);
    else if (!may_be_told(error, property))
        snprintf(problem, size, "%s: librdkafka does not take this value for %s", variable, property->name);
    else
        snprintf(problem, size, "%s=%s: %s", variable, property->secret ? "***" : property->value, error);
    return false;
}

bool kafka_property_check(const struct kafka_property *property, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool fine = set_passed_on(conf, property, problem, size);
    rd_kafka_conf_destroy(conf);
    return fine;
}

struct rd_kafka_conf_s *kafka_conf_create(const struct settings *settings, enum kafka_role role, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool fine = set_own(conf, settings, role, problem, size);
    for (size_t i = 0; fine && i < settings->kafka_count; i++)
        fine = set_passed_on(conf, &settings->kafka[i], problem, size);
    if (!fine) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, log_line);
    rd_kafka_conf_set_ssl_cert_verify_cb(conf, judge_certificate); /* a librdkafka without TLS refuses it, and needs it not */
    return conf;
}

/* ---- trying it ---- */

static bool is(const rd_kafka_conf_t *conf, const char *property, const char *start)
{
    char value[512];
    size_t size = sizeof value;
    return rd_kafka_conf_get(conf, property, value, &size) == RD_KAFKA_CONF_OK && strncasecmp(value, start, strlen(start)) == 0;
}

/* A handle of another mechanism than these begins to log in before it knows a broker. */
static bool is_quiet(const rd_kafka_conf_t *conf)
{
    return !is(conf, "security.protocol", "sasl") || is(conf, "sasl.mechanisms", "PLAIN") || is(conf, "sasl.mechanisms", "SCRAM");
}

static void log_nothing(const rd_kafka_t *handle, int syslog_level, const char *facility, const char *message)
{
    (void)handle, (void)syslog_level, (void)facility, (void)message;
}

static bool try_role(const struct settings *settings, enum kafka_role role, char *problem, size_t size)
{
    char error[512];
    rd_kafka_conf_t *conf = kafka_conf_create(settings, role, problem, size);
    if (conf == NULL)
        return false;
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    bool quiet = is_quiet(conf);
    rd_kafka_t *handle = quiet ? rd_kafka_new(role == KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, error, sizeof error) : NULL;
    if (handle != NULL)
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    else
        rd_kafka_conf_destroy(conf); /* a handle that was made owns it */
    if (quiet && handle == NULL)
        snprintf(problem, size, "KAFKA_*: librdkafka does not take the properties together: %s", error);
    return !quiet || handle != NULL;
}

bool kafka_try(const struct settings *settings, char *problem, size_t size)
{
    struct settings apart = *settings;
    apart.kafka_brokers = NULL;
    return try_role(&apart, KAFKA_CONSUMER, problem, size) && try_role(&apart, KAFKA_PRODUCER, problem, size);
}

void kafka_conf_name_member(struct rd_kafka_conf_s *conf, const struct settings *settings, size_t worker)
{
    char id[1024], own[sizeof id + 24];
    size_t size = sizeof id;
    if (settings->workers == 1 || rd_kafka_conf_get(conf, "group.instance.id", id, &size) != RD_KAFKA_CONF_OK || id[0] == '\0')
        return;
    snprintf(own, sizeof own, "%s-%zu", id, worker);
    bool taken = kafka_conf_try(conf, "group.instance.id", own);
    assert(taken);
}
