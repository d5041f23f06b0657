{{- define "jobhook.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "jobhook.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "jobhook.name" . -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "jobhook.selector" -}}
app.kubernetes.io/name: {{ include "jobhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: delivery
{{- end -}}

{{/* Of everything but the pods: without a component, so that no selector of the service's finds the Job's or the test's pod. */}}
{{- define "jobhook.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "jobhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "jobhook.image" -}}
{{- $registry := dig "imageRegistry" "" (.Values.global | default dict) -}}
{{- $name := .Values.image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $registry) $name -}}{{- end -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}{{- else -}}{{ $name }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{/* A value as the text of an environment variable: whole numbers never as 1e+06. */}}
{{- define "jobhook.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{ printf "%.0f" . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* security.protocol → KAFKA_SECURITY_PROTOCOL */}}
{{- define "jobhook.kafkaVariable" -}}
KAFKA_{{ . | upper | replace "." "_" }}
{{- end -}}

{{/* A duration of jobhook's in whole seconds, rounded up. */}}
{{- define "jobhook.seconds" -}}
{{- $n := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "ms" . -}}{{ div (add $n 999) 1000 }}
{{- else if hasSuffix "m" . -}}{{ mul $n 60 }}
{{- else if hasSuffix "h" . -}}{{ mul $n 3600 }}
{{- else -}}{{ $n }}
{{- end -}}
{{- end -}}

{{- define "jobhook.drainSeconds" -}}
{{- include "jobhook.seconds" (include "jobhook.text" (.Values.settings.JOBHOOK_DRAIN_TIMEOUT | default "25s")) -}}
{{- end -}}

{{- define "jobhook.httpPort" -}}
{{- regexFind "[0-9]+$" (.Values.settings.JOBHOOK_HTTP_LISTEN | default "0.0.0.0:8080") -}}
{{- end -}}

{{- define "jobhook.apiPort" -}}
{{- regexFind "[0-9]+$" (.Values.settings.JOBHOOK_API_LISTEN | default "0.0.0.0:8081") -}}
{{- end -}}

{{/* "yes" when /job-status answers. */}}
{{- define "jobhook.api" -}}
{{- if or (hasKey .Values.secrets "JOBHOOK_API_TOKENS") (hasKey .Values.existingSecrets "JOBHOOK_API_TOKENS") -}}yes{{- end -}}
{{- end -}}

{{- define "jobhook.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "jobhook.fullname" .) }}{{- else -}}{{ .Values.serviceAccount.name | default "default" }}{{- end -}}
{{- end -}}

{{/* The data of the ConfigMap with the settings. */}}
{{- define "jobhook.settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ include "jobhook.text" $value | quote }}
{{- end }}
{{- range $name, $value := .Values.kafkaProperties }}
{{ include "jobhook.kafkaVariable" $name }}: {{ include "jobhook.text" $value | quote }}
{{- end }}
{{- end -}}

{{- define "jobhook.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the pods of the service, of the Job and of the test have in common. */}}
{{- define "jobhook.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- $names := list }}
{{- range concat (dig "imagePullSecrets" list (.Values.global | default dict)) .Values.image.pullSecrets }}
{{- $names = append $names (kindIs "map" . | ternary . (dict "name" .)) }}
{{- end }}
{{- with $names }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Variables that name the secrets' files. */}}
{{- define "jobhook.secretVariables" -}}
{{- range $name := concat (keys .secrets) (keys .existing) | sortAlpha }}
- name: {{ $name }}_FILE
  value: /etc/jobhook/secrets/{{ $name }}
{{- end }}
{{- end -}}

{{/* The volume with the secrets. Never subPath: such a file never changes, and these are read again. */}}
{{- define "jobhook.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- if .secrets }}
      - secret:
          name: {{ .own }}
      {{- end }}
      {{- range $name := keys .existing | sortAlpha }}
      {{- $from := get $.existing $name }}
      - secret:
          name: {{ $from.name }}
          items:
            - key: {{ $from.key }}
              path: {{ $name }}
      {{- end }}
{{- end -}}

{{/* The volume with the files; those given by content lie in the ConfigMap `own`. */}}
{{- define "jobhook.filesVolume" -}}
- name: files
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $file := .files }}
      {{- if hasKey $file "content" }}
      - configMap:
          name: {{ $.own }}
          items: [{key: {{ $name }}, path: {{ $name }}}]
      {{- else if $file.configMap }}
      - configMap:
          name: {{ $file.configMap.name }}
          items: [{key: {{ $file.configMap.key }}, path: {{ $name }}}]
      {{- else }}
      - secret:
          name: {{ $file.secret.name }}
          items: [{key: {{ $file.secret.key }}, path: {{ $name }}}]
      {{- end }}
      {{- end }}
{{- end -}}

{{/* The data of that ConfigMap. */}}
{{- define "jobhook.filesContents" -}}
{{- range $name, $file := .Values.files }}
{{- if hasKey $file "content" }}
{{ $name }}: {{ $file.content | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Existing Secrets' content, where a cluster is asked: pods roll with `helm upgrade` when it has changed. Those that are read again do not count. */}}
{{- define "jobhook.existingDigest" -}}
{{- $all := "" -}}
{{- range $name := keys .Values.existingSecrets | sortAlpha -}}
{{- if not (has $name (list "JOBHOOK_SIGNING_KEYS" "JOBHOOK_API_TOKENS" "JOBHOOK_OTLP_HEADERS")) -}}
{{- $from := get $.Values.existingSecrets $name -}}
{{- $found := lookup "v1" "Secret" $.Release.Namespace $from.name -}}
{{- $all = printf "%s/%s=%s/%s:%s" $all $name $from.name $from.key (dig "data" $from.key "" ($found | default dict)) -}}
{{- end -}}
{{- end -}}
{{- $all | sha256sum -}}
{{- end -}}

{{/* The content of the files that jobhook reads only at its start: those that none of the settings names whose files are read again. What lies in a
ConfigMap or a Secret of somebody else's counts where a cluster is asked. */}}
{{- define "jobhook.filesDigest" -}}
{{- $again := list -}}
{{- range list "JOBHOOK_HOLD_FILE" "JOBHOOK_CA_FILE" "JOBHOOK_CLIENT_CERT" "JOBHOOK_CLIENT_KEY" "JOBHOOK_OTLP_CA_FILE" -}}
{{- $again = append $again (trimPrefix "/etc/jobhook/files/" (toString (get $.Values.settings .))) -}}
{{- end -}}
{{- $all := "" -}}
{{- range $name := keys .Values.files | sortAlpha -}}
{{- if not (has $name $again) -}}
{{- $file := get $.Values.files $name -}}
{{- $from := $file.configMap | default $file.secret | default dict -}}
{{- $found := dict -}}
{{- if $from.name -}}{{- $found = lookup "v1" (hasKey $file "configMap" | ternary "ConfigMap" "Secret") $.Release.Namespace $from.name | default dict -}}{{- end -}}
{{- $all = printf "%s/%s:%s%s" $all $name (toJson $file) (dig "data" ($from.key | default "") "" $found) -}}
{{- end -}}
{{- end -}}
{{- $all | sha256sum -}}
{{- end -}}
