{{/* What a schema cannot say: values that contradict each other end `helm install` with a sentence, before anything is changed. */}}
{{- define "jobhook.validate" -}}
{{- $v := .Values -}}
{{- if not (or (get $v.settings "JOBHOOK_KAFKA_BROKERS") $v.secrets.JOBHOOK_KAFKA_BROKERS $v.existingSecrets.JOBHOOK_KAFKA_BROKERS) -}}
{{- fail "settings.JOBHOOK_KAFKA_BROKERS is missing: jobhook needs the bootstrap servers of Kafka, for example kafka:9092" -}}
{{- end -}}
{{- if not (or $v.settings.JOBHOOK_REDIS_URL $v.secrets.JOBHOOK_REDIS_URL $v.existingSecrets.JOBHOOK_REDIS_URL) -}}
{{- fail "JOBHOOK_REDIS_URL is missing: give it under existingSecrets or secrets, or under settings if it holds no password" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $place, $names := dict "settings" (keys $v.settings) "secrets" (keys $v.secrets) "existingSecrets" (keys $v.existingSecrets) -}}
{{- range $names -}}
{{- if hasKey $seen . -}}
{{- fail (printf "%s is given under %s and under %s: remove one of them" . (get $seen .) $place) -}}
{{- end -}}
{{- $_ := set $seen . $place -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.kafkaProperties -}}
{{- $variable := include "jobhook.kafkaVariable" $name -}}
{{- if hasKey $seen $variable -}}
{{- fail (printf "%s is given under %s and as kafkaProperties.%s: remove one of them" $variable (get $seen $variable) $name) -}}
{{- end -}}
{{- if regexMatch "(password|passphrase|secret|sasl\\.oauthbearer\\.config|sasl\\.jaas|\\.pem$)" $name -}}
{{- fail (printf "kafkaProperties.%s is a secret: give %s under secrets or existingSecrets" $name $variable) -}}
{{- end -}}
{{- end -}}
{{- range list "JOBHOOK_SIGNING_KEYS" "JOBHOOK_API_TOKENS" "JOBHOOK_OTLP_HEADERS" -}}
{{- if hasKey $v.settings . -}}
{{- fail (printf "settings.%s is a secret: give it under secrets or existingSecrets" .) -}}
{{- end -}}
{{- end -}}
{{- range list "JOBHOOK_REDIS_URL" "JOBHOOK_PROXY" -}}
{{- if contains "@" (toString (get $v.settings .)) -}}
{{- fail (printf "settings.%s holds a password: give it under secrets or existingSecrets" .) -}}
{{- end -}}
{{- end -}}
{{- include "jobhook.validateFiles" . -}}
{{- include "jobhook.validateCopies" . -}}
{{- include "jobhook.validateGrace" . -}}
{{- include "jobhook.validateCollector" . -}}
{{- include "jobhook.validateCluster" . -}}
{{- end -}}

{{- define "jobhook.validateFiles" -}}
{{- range $name, $value := .Values.settings -}}
{{- $text := toString $value -}}
{{- if hasPrefix "/etc/jobhook/files/" $text -}}
{{- if not (hasKey $.Values.files (trimPrefix "/etc/jobhook/files/" $text)) -}}
{{- fail (printf "settings.%s is %s, but files has no %q" $name $text (trimPrefix "/etc/jobhook/files/" $text)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jobhook.validateCopies" -}}
{{- $a := .Values.autoscaling -}}
{{- if ne $a.type "none" -}}
{{- if lt (int $a.max) (int $a.min) -}}
{{- fail (printf "autoscaling.max is %d, below autoscaling.min, which is %d" (int $a.max) (int $a.min)) -}}
{{- end -}}
{{- $partitions := int $a.partitions | default (int .Values.topics.partitions) -}}
{{- if and (gt $partitions 0) (gt (int $a.max) $partitions) -}}
{{- fail (printf "autoscaling.max is %d, but the input topic has %d partitions: more copies than that would idle" (int $a.max) $partitions) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $a.type "keda") (not $a.keda.serverAddress) -}}
{{- fail "autoscaling.keda.serverAddress is missing: KEDA asks Prometheus there for the lag" -}}
{{- end -}}
{{- end -}}

{{- define "jobhook.validateGrace" -}}
{{- $needed := add (include "jobhook.drainSeconds" . | int) 10 (int .Values.preStopSeconds) -}}
{{- if not (kindIs "invalid" .Values.terminationGracePeriodSeconds) -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but must be more than %d: preStopSeconds + JOBHOOK_DRAIN_TIMEOUT + 10 s, or attempts in flight are cut off" (int .Values.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jobhook.validateCollector" -}}
{{- $endpoint := toString (.Values.settings.JOBHOOK_OTLP_ENDPOINT | default "") -}}
{{- $n := .Values.networkPolicy -}}
{{- $outside := and $n.internet (hasPrefix "https:" $endpoint) -}}
{{- if and $endpoint $n.enabled (not $n.extraEgress) (not $outside) -}}
{{- $port := regexFind ":[0-9]+" (trimPrefix "https:" (trimPrefix "http:" $endpoint)) | trimPrefix ":" | default (hasPrefix "https:" $endpoint | ternary "443" "80") -}}
{{- $open := list -}}
{{- range $n.otlp.ports -}}{{- $open = append $open (toString .) -}}{{- end -}}
{{- if not (has $port $open) -}}
{{- fail (printf "settings.JOBHOOK_OTLP_ENDPOINT is %s, but networkPolicy.otlp.ports lacks %s: spans would never arrive" $endpoint $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Only where a cluster is asked (never in `helm template`): every namespace that exists has a ServiceAccount "default". */}}
{{- define "jobhook.validateCluster" -}}
{{- if lookup "v1" "ServiceAccount" .Release.Namespace "default" -}}
{{- range list .Values.existingSecrets (.Values.topics.enabled | ternary .Values.topics.existingSecrets dict) -}}
{{- range $name, $from := . -}}
{{- $found := lookup "v1" "Secret" $.Release.Namespace $from.name -}}
{{- if not $found -}}
{{- fail (printf "%s is to come from the Secret %q, which does not exist in the namespace %q: create it first" $name $from.name $.Release.Namespace) -}}
{{- else if not (hasKey ($found.data | default dict) $from.key) -}}
{{- fail (printf "%s is to come from the key %q of the Secret %q, which has only: %s" $name $from.key $from.name (keys ($found.data | default dict) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
