{{/* Health checks and metrics for whoever reaches the pod: metrics ask for a token. */}}
{{- define "taskgate.metrics.config" -}}
admin:
  address: {{ printf "%s:7081" (include "taskgate.listenHost" .) | quote }}
  tokenFile: /etc/taskgate/metrics/token
{{- end -}}

{{- define "taskgate.metrics.secret" -}}
{{- default (printf "%s-metrics" (include "taskgate.fullname" .)) .Values.metrics.tokenSecret -}}
{{- end -}}

{{- define "taskgate.metrics.gateVolumes" -}}
- name: metrics
  secret: { secretName: {{ include "taskgate.metrics.secret" . }}, defaultMode: 0440 }
{{- end -}}

{{- define "taskgate.metrics.gateVolumeMounts" -}}
- { name: metrics, mountPath: /etc/taskgate/metrics, readOnly: true }
{{- end -}}
