{{/* What one provider must be allowed to do, by what is switched on in its configuration. */}}
{{- define "taskgate.providerRules" -}}
- apiGroups: [""]
  resources: [pods, services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if .owners }}
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets, daemonsets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list, watch]
{{- end }}
{{- if ne (toString .writeStatus) "false" }}
- apiGroups: [""]
  resources: [pods, services]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create, update]
{{- end }}
{{- if eq (toString .reach) "port-forward" }}
- apiGroups: [""]
  resources: [pods/portforward]
  verbs: [get, create]
{{- end }}
{{- if eq (toString .reach) "gateway-api" }}
# Of each port that is reached: a Service, where need be its EndpointSlice, and a TCPRoute.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, update, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, create, update, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [tcproutes]
  verbs: [get, list, watch, create, update, delete]
{{- if ne (toString (.gateway).networkPolicy) "false" }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, update, delete]
{{- end }}
{{- end }}
{{- end -}}

{{/* What it must be allowed to do in the namespace of Gateways: their names, their namespace and the provider. */}}
{{- define "taskgate.gatewayRules" -}}
{{- $gateway := .provider.gateway -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  resourceNames: {{ .names | toJson }}
  verbs: [get, list, watch, update]
{{- if ne (toString $gateway.listenerSets) "never" }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [listenersets]
  verbs: [get, list, watch, create, update, delete]
{{- end }}
# Which pods are the Gateway's, and who gets to them.
- apiGroups: [""]
  resources: [pods, services]
  verbs: [list]
{{- if eq (toString $gateway.tls) "terminate" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ printf "taskgate-tunnel-%s" (default "kubernetes" .provider.name) }}]
  verbs: [get, update]
{{- end }}
{{- end -}}

{{/* What it must be allowed to do in the cluster: how many listeners a Gateway may have, whose it is, and what its namespace is called. */}}
{{- define "taskgate.gatewayKindRules" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [gateways.gateway.networking.k8s.io, listenersets.gateway.networking.k8s.io]
  verbs: [get]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get]
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: {{ .namespaces | toJson }}
  verbs: [get]
{{- end -}}
