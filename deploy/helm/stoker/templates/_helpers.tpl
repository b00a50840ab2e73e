{{- define "stoker.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}-stoker
{{- end }}

{{- define "stoker.labels" -}}
app.kubernetes.io/name: stoker
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "stoker.selector" -}}
app.kubernetes.io/name: stoker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stoker.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "stoker.ticketSecret" -}}
{{- if .Values.ticketKey.existing -}}
{{ .Values.ticketKey.existing }}
{{- else -}}
{{ include "stoker.name" . }}-ticket
{{- end -}}
{{- end }}

{{- define "stoker.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
