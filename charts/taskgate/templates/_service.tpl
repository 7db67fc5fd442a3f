{{/* The Service that visitors come to; what it leads to is called by the component's name. */}}
{{- define "taskgate.visitorsService" -}}
{{- $service := .root.Values.service -}}
{{- $port := int (include "taskgate.port" .root) -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "taskgate.fullname" .root }}
  labels:
    {{- include "taskgate.labels" .root | nindent 4 }}
    {{- with $service.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- range $key := list "loadBalancerClass" "loadBalancerIP" "externalTrafficPolicy" "ipFamilyPolicy" }}
  {{- with get $service $key }}
  {{ $key }}: {{ . }}
  {{- end }}
  {{- end }}
  {{- range $key := list "loadBalancerSourceRanges" "ipFamilies" }}
  {{- with get $service $key }}
  {{ $key }}: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "taskgate.selectorLabels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  ports:
    - name: visitors
      port: {{ $port }}
      targetPort: {{ $port }}
      {{- if eq $service.type "NodePort" }}
      nodePort: {{ $port }}
      {{- end }}
    {{- with $service.tcpPorts }}
    {{- $ends := splitList "-" . }}
    {{- range $raw := untilStep (int (first $ends)) (add1 (int (last $ends)) | int) 1 }}
    - { name: tcp-{{ $raw }}, port: {{ $raw }}, targetPort: {{ $raw }} }
    {{- end }}
    {{- end }}
{{- end -}}
