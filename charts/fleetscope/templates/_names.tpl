{{- /* Names, labels and image references that several templates share. */ -}}

{{- /*
Prefix of all objects' names. A Service name has at most 63 characters and the longest suffix, "-node-agent-test", has 16; a
prefix that is longer than the rest keeps its first characters and gets a hash of all of them, so that two long ones stay two.
*/ -}}
{{- define "fleetscope.fullname" -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- if gt (len $full) 47 -}}
{{- printf "%s-%s" ($full | trunc 38 | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{- define "fleetscope.operator.name" -}}
{{- include "fleetscope.fullname" . }}-operator
{{- end -}}

{{- define "fleetscope.nodeAgent.name" -}}
{{- include "fleetscope.fullname" . }}-node-agent
{{- end -}}

{{- /* What selectors use: never changes in the life of a release. The operator finds the node agents by the first of them. */ -}}
{{- define "fleetscope.selectorLabels" -}}
app.kubernetes.io/name: fleetscope
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels of every object. */ -}}
{{- define "fleetscope.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "fleetscope.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: fleetscope
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Image reference of .image, with the chart's appVersion as its default tag; a digest wins. */ -}}
{{- define "fleetscope.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "fleetscope.operator.serviceAccount" -}}
{{- default (include "fleetscope.operator.name" .) .Values.operator.serviceAccount.name -}}
{{- end -}}

{{- define "fleetscope.nodeAgent.serviceAccount" -}}
{{- default (include "fleetscope.nodeAgent.name" .) .Values.nodeAgent.serviceAccount.name -}}
{{- end -}}

{{- /* The namespaces that operator and node agent look at, as JSON: those of the values and the release's; none where they look at all. */ -}}
{{- define "fleetscope.namespaces" -}}
{{- $namespaces := list -}}
{{- if .Values.namespaces -}}
{{- $namespaces = append .Values.namespaces .Release.Namespace | uniq | sortAlpha -}}
{{- end -}}
{{- toJson $namespaces -}}
{{- end -}}
