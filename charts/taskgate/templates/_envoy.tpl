{{/* Envoys as the data plane: what they and the gates are told of each other. All of it is empty where the gates move the bytes. */}}

{{- define "taskgate.envoy.name" -}}
{{ include "taskgate.fullname" . }}-envoy
{{- end -}}

{{/* Service without an address of its own: its name leads to all gates that are ready. */}}
{{- define "taskgate.envoy.control" -}}
{{ include "taskgate.fullname" . }}-control
{{- end -}}

{{/* By which Envoys reach the gates; certificates of the gates are for it. */}}
{{- define "taskgate.envoy.controlHost" -}}
{{ include "taskgate.envoy.control" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Name in the certificate of the Envoys, by which gates know them. */}}
{{- define "taskgate.envoy.client" -}}
{{ include "taskgate.envoy.name" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "taskgate.envoy.gateSecret" -}}
{{- default (printf "%s-gate-tls" (include "taskgate.fullname" .)) .Values.envoy.tls.gateSecret -}}
{{- end -}}

{{- define "taskgate.envoy.envoySecret" -}}
{{- default (printf "%s-tls" (include "taskgate.envoy.name" .)) .Values.envoy.tls.envoySecret -}}
{{- end -}}

{{- define "taskgate.envoy.config" -}}
{{- if eq .Values.dataPlane "envoy" -}}
{{- $host := include "taskgate.listenHost" . -}}
dataPlane: envoy
envoy:
  local: false
  xds:
    address: {{ printf "%s:7083" $host | quote }}
    gateAddress: {{ printf "%s:7084" $host | quote }}
    tls:
      certificate: /etc/taskgate/fleet/tls.crt
      key: /etc/taskgate/fleet/tls.key
      clientAuthority: /etc/taskgate/fleet/ca.crt
  fleets:
    - name: envoy
      clients: [{{ include "taskgate.envoy.client" . }}]
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "taskgate.envoy.gatePorts" -}}
{{- if eq .Values.dataPlane "envoy" -}}
- { name: xds, containerPort: 7083 }
- { name: page, containerPort: 7084 }
{{- end -}}
{{- end -}}

{{- define "taskgate.envoy.gateEnv" -}}
{{- if eq .Values.dataPlane "envoy" -}}
# The gate that an Envoy gets its configuration from is to be the one that it asks: the name of all gates leads to any of them.
- name: TASKGATE_ENVOY_XDS_ADVERTISE
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
{{- end -}}
{{- end -}}

{{- define "taskgate.envoy.gateVolumes" -}}
{{- if eq .Values.dataPlane "envoy" -}}
- name: fleet
  secret: { secretName: {{ include "taskgate.envoy.gateSecret" . }}, defaultMode: 0440 }
{{- end -}}
{{- end -}}

{{- define "taskgate.envoy.gateVolumeMounts" -}}
{{- if eq .Values.dataPlane "envoy" -}}
- { name: fleet, mountPath: /etc/taskgate/fleet, readOnly: true }
{{- end -}}
{{- end -}}

{{- define "taskgate.envoy.image" -}}
{{- with .Values.envoy.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What Envoys start with: the code's own, for this release. */}}
{{- define "taskgate.envoy.bootstrap" -}}
{{- $connections := printf "\"max_active_downstream_connections\": %d" (int (dig "limits" "connections" 20000 .Values.config)) -}}
{{- $file := .Files.Get "files/envoy/bootstrap.json" | replace "GATE_HOST" (include "taskgate.envoy.controlHost" .) -}}
{{- regexReplaceAll "\"max_active_downstream_connections\": [0-9]+" $file $connections -}}
{{- end -}}

{{/* What of `envoy` cannot be right. */}}
{{- define "taskgate.envoy.check" -}}
{{- if eq .Values.dataPlane "envoy" -}}
{{- with .Values.envoy -}}
{{- if not (has .kind (list "Deployment" "DaemonSet")) -}}{{- fail "envoy.kind: Deployment or DaemonSet" -}}{{- end -}}
{{- if and .autoscaling.enabled (ne .kind "Deployment") -}}{{- fail "envoy.autoscaling: a DaemonSet has as many pods as there are nodes" -}}{{- end -}}
{{- if and .hostPort (ne .kind "DaemonSet") -}}{{- fail "envoy.hostPort: of a DaemonSet alone, as no two pods of a node can have one port" -}}{{- end -}}
{{- if ne (empty .tls.gateSecret) (empty .tls.envoySecret) -}}{{- fail "envoy.tls: gateSecret and envoySecret belong together" -}}{{- end -}}
{{- if and .tls.certManager.enabled (not .tls.certManager.issuerRef.name) -}}{{- fail "envoy.tls.certManager.issuerRef.name: who issues the certificates?" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
