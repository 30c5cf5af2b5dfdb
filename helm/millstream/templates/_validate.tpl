{{/* What a schema cannot say: relations between values. Each refusal names the values and the way out. */}}
{{- define "millstream.validate" -}}
{{- if not .Values.kafka.brokers -}}
{{- fail "kafka.brokers is empty: give the host:port of at least one broker" -}}
{{- end -}}
{{- $commit := int64 (default 100 .Values.settings.commitIntervalMs) -}}
{{- $transaction := int64 (default 10000 .Values.settings.transactionTimeoutMs) -}}
{{- $session := int64 (default 45000 .Values.settings.sessionTimeoutMs) -}}
{{- $grace := mul (int64 .Values.terminationGracePeriodSeconds) 1000 -}}
{{- if le $grace (add $commit $transaction) -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be longer than settings.commitIntervalMs (%d) + settings.transactionTimeoutMs (%d): else a pod is killed in the middle of its last commit" (int64 .Values.terminationGracePeriodSeconds) $commit $transaction) -}}
{{- end -}}
{{- if and (ne (toString .Values.settings.guarantee) "at_least_once") (le $session (add $transaction 10000)) -}}
{{- fail (printf "settings.sessionTimeoutMs (%d) must be longer than settings.transactionTimeoutMs (%d) + 10000: else a new owner waits for the transaction of the old one" $session $transaction) -}}
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
