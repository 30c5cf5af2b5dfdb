{{/* What a schema cannot say: relations between values. Each refusal names the values and the way out. */}}
{{- define "millstream.validate" -}}
{{- if not .Values.kafka.brokers -}}
{{- fail "kafka.brokers is empty: give the host:port of at least one broker" -}}
{{- end -}}
{{- $commit := int64 (default 100 .Values.settings.commitIntervalMs) -}}
{{- $transaction := int64 (default 10000 .Values.settings.transactionTimeoutMs) -}}
{{- $grace := mul (int64 .Values.terminationGracePeriodSeconds) 1000 -}}
{{- if le $grace (add $commit $transaction) -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be longer than settings.commitIntervalMs (%d) + settings.transactionTimeoutMs (%d): else a pod is killed in the middle of its last commit" (int64 .Values.terminationGracePeriodSeconds) $commit $transaction) -}}
{{- end -}}
{{- $session := int64 (default 45000 .Values.settings.sessionTimeoutMs) -}}
{{- $rebalance := int64 (default 30000 .Values.settings.rebalanceTimeoutMs) -}}
{{- if le $session $rebalance -}}
{{- fail (printf "settings.sessionTimeoutMs (%d) must be longer than settings.rebalanceTimeoutMs (%d): else a pod loses its session while it waits for a rebalance" $session $rebalance) -}}
{{- end -}}
{{- if and .Values.kafka.sasl.mechanism (not .Values.kafka.sasl.existingSecret) -}}
{{- fail (printf "kafka.sasl.mechanism is %s, but kafka.sasl.existingSecret names no secret with the user name and the password" .Values.kafka.sasl.mechanism) -}}
{{- end -}}
{{- if and .Values.kafka.sasl.existingSecret (not .Values.kafka.sasl.mechanism) -}}
{{- fail "kafka.sasl.existingSecret is given, but kafka.sasl.mechanism is empty" -}}
{{- end -}}
{{- if and .Values.kafka.tls.caSecret (not .Values.kafka.tls.enabled) -}}
{{- fail "kafka.tls.caSecret is given, but kafka.tls.enabled is false" -}}
{{- end -}}
{{- if and .Values.module.files (not (hasKey .Values.module.files "index.ts")) -}}
{{- fail "module.files has no index.ts: that is the module which is run" -}}
{{- end -}}
{{- if contains "." (include "millstream.fullname" .) -}}
{{- fail (printf "the name %q has a dot: pod names become instance ids, in which a dot is not allowed; set fullnameOverride" (include "millstream.fullname" .)) -}}
{{- end -}}
{{- end -}}
