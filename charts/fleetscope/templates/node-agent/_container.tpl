{{- /* What the node agent's container and the test's check of the same probes have in common. */ -}}

{{- /* Not empty when the probes for gRPC stay on the node while a node agent is replaced. */ -}}
{{- define "fleetscope.nodeAgent.persists" -}}
{{- if and .Values.nodeAgent.persist (not .Values.nodeAgent.unpin) }}true{{ end -}}
{{- end -}}

{{- define "fleetscope.nodeAgent.args" -}}
- --log-level={{ .Values.nodeAgent.logLevel }}
- --log-format={{ .Values.nodeAgent.logFormat }}
{{- range include "fleetscope.namespaces" . | fromJsonArray }}
- --namespace={{ . }}
{{- end }}
- --runqueue={{ .Values.nodeAgent.runqueue }}
- --grpc={{ .Values.nodeAgent.grpc }}
{{- if include "fleetscope.nodeAgent.persists" . }}
- --persist=/sys/fs/bpf/fleetscope
{{- end }}
- --grpc-ring-bytes={{ int64 .Values.nodeAgent.grpcRingBytes }}
- --ring-bytes={{ int64 .Values.nodeAgent.ringBytes }}
- --series-grace={{ .Values.nodeAgent.seriesGrace }}
- --pending-timeout={{ .Values.nodeAgent.pendingTimeout }}
- --max-series={{ int64 .Values.nodeAgent.maxSeries }}
- --max-series-per-fleet={{ int64 .Values.nodeAgent.maxSeriesPerFleet }}
{{- end -}}

{{- define "fleetscope.nodeAgent.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- end -}}

{{- /*
User 0 without any capability but these two: container runtimes give a non-root user's process no ambient capabilities, so that the
added ones would not be effective. BPF loads the programs and reads their maps, PERFMON lets them follow kernel pointers.
*/ -}}
{{- define "fleetscope.nodeAgent.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  add: [BPF, PERFMON]
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsGroup: 0
runAsUser: 0
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /*
The bpffs, where it is asked for, is the one thing of the host that the agent writes to: its own folder of mode 0700 there.
*/ -}}
{{- /* HostToContainer: a hierarchy or process mount that the host makes later is seen too, nothing goes the other way. */ -}}
{{- define "fleetscope.nodeAgent.volumeMounts" -}}
- name: cgroup
  mountPath: /host/sys/fs/cgroup
  mountPropagation: HostToContainer
  readOnly: true
- name: proc
  mountPath: /host/proc
  mountPropagation: HostToContainer
  readOnly: true
{{- if include "fleetscope.nodeAgent.persists" . }}
{{ include "fleetscope.nodeAgent.pinsMount" . }}
{{- end }}
{{- end -}}

{{- define "fleetscope.nodeAgent.pinsMount" -}}
- name: bpf
  mountPath: /sys/fs/bpf
  mountPropagation: HostToContainer
{{- end -}}

{{- define "fleetscope.nodeAgent.volumes" -}}
- name: cgroup
  hostPath:
    path: /sys/fs/cgroup
    type: Directory
- name: proc
  hostPath:
    path: /proc
    type: Directory
{{- if or .Values.nodeAgent.persist .Values.nodeAgent.unpin }}
- name: bpf
  hostPath:
    path: /sys/fs/bpf
    type: Directory
{{- end }}
{{- end -}}
