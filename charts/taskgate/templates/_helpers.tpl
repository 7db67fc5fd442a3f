{{- define "taskgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters at most: more is put behind it. */}}
{{- define "taskgate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "taskgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "taskgate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: taskgate
{{- end -}}

{{/* Without a component: `gate` or `envoy`. */}}
{{- define "taskgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "taskgate.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "taskgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "taskgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the visitors' certificate; empty: plain HTTP. */}}
{{- define "taskgate.tlsSecret" -}}
{{- if .Values.tls.secretName -}}
{{ .Values.tls.secretName }}
{{- else if .Values.tls.certManager.enabled -}}
{{ include "taskgate.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* The port that visitors use, and that the gate or its Envoys listen at. */}}
{{- define "taskgate.port" -}}
{{- .Values.service.port | default (ternary 443 7080 (ne (include "taskgate.tlsSecret" .) "")) -}}
{{- end -}}

{{- define "taskgate.listenHost" -}}
{{- ternary "[::]" "0.0.0.0" (or (has "IPv6" .Values.service.ipFamilies) (has .Values.service.ipFamilyPolicy (list "PreferDualStack" "RequireDualStack"))) -}}
{{- end -}}

{{/* The store's name: what its Secrets and Leases begin with; 32 characters at most. */}}
{{- define "taskgate.storeName" -}}
{{- $name := include "taskgate.fullname" . -}}
{{- if gt (len $name) 32 -}}
{{ printf "%s-%s" ($name | trunc 23 | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end -}}

{{/* ConfigMap that all of the store's objects belong to. */}}
{{- define "taskgate.anchor" -}}
{{ include "taskgate.fullname" . }}-state
{{- end -}}

{{/* The pod's own security, by the Pod Security Standard `restricted`. */}}
{{- define "taskgate.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- if lt (int (include "taskgate.port" .)) 1024 }}
# So that who is not root may listen there: a safe one, of the pod alone.
sysctls:
  - name: net.ipv4.ip_unprivileged_port_start
    value: "0"
{{- end }}
{{- end -}}

{{- define "taskgate.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The gate's whole configuration, as a map in YAML. */}}
{{- define "taskgate.config" -}}
{{- $listen := dict "address" (printf "%s:%s" (include "taskgate.listenHost" .) (include "taskgate.port" .)) -}}
{{- if include "taskgate.tlsSecret" . -}}
{{- $_ := set $listen "tls" (dict "certificate" "/etc/taskgate/tls/tls.crt" "key" "/etc/taskgate/tls/tls.key") -}}
{{- else -}}
{{- $_ := set $listen "plainOnPublicAddress" true -}}
{{- end -}}
{{- $config := dict
  "domain" .Values.domain
  "listen" $listen
  "drain" (printf "%ds" (int .Values.drain.seconds))
  "local" (dict "enabled" false)
  "store" (dict "type" "kubernetes" "name" (include "taskgate.storeName" .) "anchor" (include "taskgate.anchor" .))
  "providers" (list (dict "type" "kubernetes" "name" "kubernetes"))
-}}
{{- if .Values.service.tcpPorts -}}
{{- $_ := set $config "tcp" (dict "ports" .Values.service.tcpPorts) -}}
{{- end -}}
{{- range $part := list "taskgate.front.config" "taskgate.metrics.config" "taskgate.envoy.config" -}}
{{- $config = mergeOverwrite $config (include $part $ | fromYaml) -}}
{{- end -}}
{{- $said := deepCopy .Values.config -}}
{{- with $said.store -}}
{{- if ne (default "kubernetes" .type) "kubernetes" -}}{{- $_ := unset $config "store" -}}{{- end -}}
{{- /* The object that a store belongs to is in the chart's own cluster. */ -}}
{{- if or .kubeconfig .context -}}{{- $_ := unset $config.store "anchor" -}}{{- end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config $said) -}}
{{- end -}}

{{/* What cannot be right. Say it once, from a template that is always there. */}}
{{- define "taskgate.check" -}}
{{- include "taskgate.front.check" . -}}
{{- $config := .Values.config -}}
{{- $tls := include "taskgate.tlsSecret" . -}}
{{- $port := int (include "taskgate.port" .) -}}
{{- range $key, $instead := dict "domain" "domain" "admin" "metrics" "drain" "drain.seconds" "dataPlane" "dataPlane" -}}
{{- if hasKey $config $key -}}{{- fail (printf "config.%s: say it by the value %s" $key $instead) -}}{{- end -}}
{{- end -}}
{{- range $key, $instead := dict "address" "service.port" "tls" "tls" -}}
{{- if hasKey (default dict $config.listen) $key -}}{{- fail (printf "config.listen.%s: say it by the value %s" $key $instead) -}}{{- end -}}
{{- end -}}
{{- if hasKey (default dict $config.tcp) "ports" -}}{{- fail "config.tcp.ports: say it by the value service.tcpPorts" -}}{{- end -}}
{{- if and (ne .Values.service.type "ClusterIP") (not $tls) (not .Values.tls.allowPlain) -}}
{{- fail (printf "service.type %s without TLS: logins would cross the network unencrypted. Set tls.secretName or tls.certManager, or tls.allowPlain=true" .Values.service.type) -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name: who issues the certificate?" -}}
{{- end -}}
{{- if and $tls (eq .Values.domain "localhost") -}}
{{- fail "domain: a certificate is for a domain of yours, not for localhost" -}}
{{- end -}}
{{- with .Values.service.tcpPorts -}}
{{- $ends := splitList "-" . -}}
{{- $from := int (first $ends) -}}
{{- $to := int (last $ends) -}}
{{- if or (gt $from $to) (lt $from 1024) (gt $to 65535) -}}{{- fail "service.tcpPorts: expected FROM-TO, within 1024 and 65535" -}}{{- end -}}
{{- if gt (sub $to $from) 99 -}}{{- fail "service.tcpPorts: 100 ports at most" -}}{{- end -}}
{{- range list $port 7081 7083 7084 -}}
{{- if and (ge . $from) (le . $to) -}}{{- fail (printf "service.tcpPorts: %d is a port of the gate's own" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if has $port (list 7081 7083 7084) -}}{{- fail (printf "service.port: %d is a port of the gate's own" $port) -}}{{- end -}}
{{- if and (eq .Values.service.type "NodePort") (or (lt $port 30000) (gt $port 32767)) -}}
{{- fail "service.port: a NodePort is from 30000 to 32767, and visitors use that very one" -}}
{{- end -}}
{{- if and .Values.service.externalTrafficPolicy (eq .Values.service.type "ClusterIP") -}}
{{- fail "service.externalTrafficPolicy: only of a LoadBalancer or NodePort" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (eq (default "kubernetes" (default dict $config.store).type) "embedded") -}}
{{- fail "replicas: gates share what outlives them by a store of type kubernetes; with config.store.type embedded there is one gate" -}}
{{- end -}}
{{- end -}}
