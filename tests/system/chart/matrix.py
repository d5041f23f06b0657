"""The values that the chart is rendered with, by name."""
import copy

BROKERS = {"JOBHOOK_KAFKA_BROKERS": "kafka.data:9092,kafka-2.data:9093"}
LEAST = {"settings": BROKERS, "existingSecrets": {"JOBHOOK_REDIS_URL": {"name": "jobhook-secrets", "key": "redis-url"}}}


def merged(base, more):
    """As helm merges values: maps by key, the rest replaced."""
    result = copy.deepcopy(base)
    for name, value in more.items():
        result[name] = merged(result[name], value) if isinstance(value, dict) and isinstance(result.get(name), dict) else copy.deepcopy(value)
    return result


def least(**more):
    return merged(LEAST, more)


OFF = {"enabled": False}
MATRIX = {
    "least": LEAST,
    "everything": least(
        image={"repository": "registry.example.com/jobhook", "digest": "sha256:" + "0" * 64, "pullSecrets": ["pull"]},
        settings={"JOBHOOK_MAX_IN_FLIGHT": 100000, "JOBHOOK_ALLOW_HTTP": False, "JOBHOOK_DRAIN_TIMEOUT": "1m", "JOBHOOK_CA_FILE": "/etc/jobhook/files/ca.pem",
                  "JOBHOOK_OTLP_ENDPOINT": "http://collector.tracing:4318",
                  "JOBHOOK_EGRESS_ALLOW": "10.1.2.0/24,fd00:1::/64", "JOBHOOK_EGRESS_DENY": "8.8.8.0/24,2001:4860::/32,fd00::/8"},
        kafkaProperties={"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "jobhook"},
        secrets={"JOBHOOK_SIGNING_KEYS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "JOBHOOK_API_TOKENS": "a-token-of-a-gateway"},
        existingSecrets={"KAFKA_SASL_PASSWORD": {"name": "kafka-jobhook", "key": "password"}},
        files={"ca.pem": {"secret": {"name": "internal-ca", "key": "ca.crt"}}, "partner.pem": {"configMap": {"name": "partners", "key": "partner.pem"}},
               "note": {"content": "two\nlines\n"}},
        autoscaling={"type": "keda", "min": 2, "max": 12, "keda": {"serverAddress": "http://prometheus.monitoring:9090", "authentication": "prometheus"}},
        topics={"partitions": 12, "kafkaProperties": {"sasl.username": "admin"}, "existingSecrets": {"KAFKA_SASL_PASSWORD": {"name": "kafka-admin", "key": "password"}}},
        serviceAccount={"annotations": {"example.com/a": "b"}}, service={"annotations": {"example.com/a": "b"}},
        networkPolicy={"otlp": {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tracing"}}}]}, "kafka": {"to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}]}, "extraEgress": [{"ports": [{"protocol": "UDP", "port": 123}]}],
                       "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                       "apiFrom": [{"podSelector": {"matchLabels": {"app": "gateway"}}}]},
        serviceMonitor={"enabled": True, "labels": {"release": "prometheus"}}, prometheusRule={"enabled": True, "labels": {"release": "prometheus"}},
        dashboard={"enabled": True}, preStopSeconds=5, podAnnotations={"example.com/a": "b"}, podLabels={"team": "webhooks"},
        extraEnv=[{"name": "SSL_CERT_DIR", "value": "/nowhere"}], nodeSelector={"disk": "fast"}, tolerations=[{"key": "a", "operator": "Exists"}],
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
        priorityClassName="high"),
    "nothing": least(topics=OFF, serviceAccount={"create": False}, service=OFF, podDisruptionBudget=OFF, networkPolicy=OFF, topologySpread=OFF, replicas=1,
                     dnsConfig={"options": None}),
    "hpa": least(autoscaling={"type": "hpa", "min": 3, "max": 9, "partitions": 9}, fullnameOverride="hooks"),
    "own-secrets": {"settings": BROKERS, "secrets": {"JOBHOOK_REDIS_URL": "redis://:p@redis.data", "KAFKA_SASL_PASSWORD": "q"},
                    "kafkaProperties": {"security.protocol": "sasl_plaintext", "sasl.username": "u"}, "networkPolicy": {"internet": False}},
    "plain": {"settings": {**BROKERS, "JOBHOOK_REDIS_URL": "redis://redis.data:6379"}, "topics": {"replication": 1}},
}

# values → what the refusal says
REFUSED = {
    "no brokers": ({"existingSecrets": LEAST["existingSecrets"]}, "settings.JOBHOOK_KAFKA_BROKERS is missing"),
    "no Redis": ({"settings": BROKERS}, "JOBHOOK_REDIS_URL is missing: give it under existingSecrets or secrets"),
    "unknown value": (least(replicaCount=3), "replicaCount"),
    "unknown part of a value": (least(autoscaling={"maximum": 3}), "maximum"),
    "unknown setting": (least(settings={"JOBHOOK_TOPICS": "a"}), "JOBHOOK_TOPICS"),
    "unknown secret": (least(secrets={"REDIS_URL": "a"}), "REDIS_URL"),
    "a setting twice": (least(secrets={"JOBHOOK_REDIS_URL": "redis://r"}), "JOBHOOK_REDIS_URL is given under"),
    "a collector behind a closed port": (least(settings={"JOBHOOK_OTLP_ENDPOINT": "http://collector:4317"}),
                                         "settings.JOBHOOK_OTLP_ENDPOINT is http://collector:4317, but networkPolicy.otlp.ports lacks 4317"),
    "a property twice": (least(kafkaProperties={"sasl.username": "a"}, secrets={"KAFKA_SASL_USERNAME": "a"}), "KAFKA_SASL_USERNAME is given under secrets and as kafkaProperties.sasl.username"),
    "a secret in the open": (least(settings={"JOBHOOK_SIGNING_KEYS": "whsec_a"}), "settings.JOBHOOK_SIGNING_KEYS is a secret: give it under secrets or existingSecrets"),
    "a password in the open": ({"settings": {**BROKERS, "JOBHOOK_REDIS_URL": "redis://:p@r"}}, "settings.JOBHOOK_REDIS_URL holds a password"),
    "Kafka's password in the open": (least(kafkaProperties={"sasl.password": "p"}), "kafkaProperties.sasl.password is a secret: give KAFKA_SASL_PASSWORD under"),
    "a token's configuration in the open": (least(kafkaProperties={"sasl.oauthbearer.config": "p"}), "kafkaProperties.sasl.oauthbearer.config is a secret"),
    "a property that safety rests on": (least(kafkaProperties={"enable.auto.commit": True}), "enable.auto.commit"),
    "no copies": (least(replicas=0), "replicas"),
    "scaling to nothing": (least(autoscaling={"type": "keda", "min": 0}), "min"),
    "max below min": (least(autoscaling={"type": "hpa", "min": 5, "max": 4}), "autoscaling.max is 4, below autoscaling.min, which is 5"),
    "more copies than partitions": (least(autoscaling={"type": "hpa", "max": 13, "partitions": 12}), "autoscaling.max is 13, but the input topic has 12 partitions"),
    "more copies than the Job's partitions": (least(autoscaling={"type": "hpa", "max": 13}, topics={"partitions": 12}), "autoscaling.max is 13, but the input topic has 12 partitions"),
    "KEDA without Prometheus": (least(autoscaling={"type": "keda"}), "autoscaling.keda.serverAddress is missing"),
    "killed while draining": (least(terminationGracePeriodSeconds=30), "terminationGracePeriodSeconds is 30, but must be more than 35"),
    "killed while draining longer": (least(terminationGracePeriodSeconds=60, settings={"JOBHOOK_DRAIN_TIMEOUT": "2m"}), "must be more than 130"),
    "a file that is not there": (least(settings={"JOBHOOK_CA_FILE": "/etc/jobhook/files/ca.pem"}), 'settings.JOBHOOK_CA_FILE is /etc/jobhook/files/ca.pem, but files has no "ca.pem"'),
    "a file from two places": (least(files={"a": {"content": "b", "secret": {"name": "c", "key": "d"}}}), "files"),
    "a policy that reaches no Redis": (least(networkPolicy={"redis": {"to": []}}), "networkPolicy.redis.to"),
    "a key without its name": (least(existingSecrets={"JOBHOOK_PROXY": {"name": "a"}}), "key"),
    "an interval of nothing": (least(serviceMonitor={"interval": "often"}), "interval"),
}
