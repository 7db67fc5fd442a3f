{{/* What of the gate's configuration follows from who stands before it. */}}
{{- define "taskgate.front.config" -}}
{{- with .Values.front }}
{{- if .enabled }}
listen:
  public:
    scheme: {{ ternary "https" "http" (ne .listeners.https "") }}
    {{- with .port }}
    port: {{ . }}
    {{- end }}
    {{- with .grpcPort }}
    grpcPort: {{ . }}
    {{- end }}
    {{- with .address }}
    address: {{ . | quote }}
    {{- end }}
  forwarded:
    from: {{- toYaml .forwardedFrom | nindent 6 }}
front:
  type: gateway-api
  gateway:
    name: {{ .gateway.name }}
    namespace: {{ default $.Release.Namespace .gateway.namespace }}
  listeners:
    {{- range $kind, $name := .listeners }}
    {{- if $name }}
    {{ $kind }}: {{ $name }}
    {{- end }}
    {{- end }}
  service:
    name: {{ include "taskgate.fullname" $ }}
    namespace: {{ $.Release.Namespace }}
    port: {{ include "taskgate.port" $ }}
  tcp: {{ .tcp | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What of it cannot be right. */}}
{{- define "taskgate.front.check" -}}
{{- with .Values.front -}}
{{- if .enabled -}}
{{- if not .gateway.name -}}{{- fail "front.gateway.name: by which Gateway do visitors come in?" -}}{{- end -}}
{{- if not (or .listeners.https .listeners.http) -}}{{- fail "front.listeners: which listener is for HTTP? Set https, http or both" -}}{{- end -}}
{{- if and (ne .tcp "off") (not $.Values.service.tcpPorts) -}}{{- fail "front.tcp: the Service has no raw ports; set service.tcpPorts" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kinds of routes that the gate makes for a front, by its configuration. */}}
{{- define "taskgate.front.routes" -}}
- httproutes
{{- if .listeners.grpc }}
- grpcroutes
{{- end }}
{{- if .listeners.tls }}
- tlsroutes
{{- end }}
{{- if ne (default "off" .tcp) "off" }}
- tcproutes
{{- end }}
{{- if eq (default "off" .tcp) "listenerSets" }}
- listenersets
{{- end }}
{{- end -}}
