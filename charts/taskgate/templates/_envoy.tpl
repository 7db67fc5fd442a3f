{{- define "taskgate.envoy.config" -}}{}{{- end -}}
{{- define "taskgate.envoy.gateVolumes" -}}{{- end -}}
{{- define "taskgate.envoy.gateVolumeMounts" -}}{{- end -}}
{{- define "taskgate.envoy.gatePorts" -}}{{- end -}}
