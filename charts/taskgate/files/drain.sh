# What an Envoy does before it ends, as its pod's preStop hook: ends at once nobody's connection. Arguments: seconds until everybody has heard
# that the pod goes, and seconds that what is then open gets.
set -u
admin=${ADMIN:-127.0.0.1:9901}

# Asks the admin. Images of Envoy have wget, or bash, or both.
ask() {
  if command -v wget >/dev/null 2>&1; then
    if [ "$1" = POST ]; then wget -q -O - --post-data= "http://$admin$2"; else wget -q -O - "http://$admin$2"; fi
  else
    bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0#*:}"; printf "%s %s HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" "$1" "$2" >&3; cat <&3' \
      "$admin" "$1" "$2"
  fi
}

# Requests under way, and connections that carry none: of visitors alone.
open() {
  requests=0 raw=0
  while read -r name value; do
    value=$(printf %s "$value" | tr -d '\r')
    case "$name" in
      *admin* | *internal* | *worker_* | *relay*) ;;
      http.*.downstream_rq_active:) requests=$((requests + value)) ;;
      http.*.downstream_cx_active:) raw=$((raw - value)) ;;
      listener.*.downstream_cx_active:) raw=$((raw + value)) ;;
    esac
  done <<EOF
$(ask GET '/stats?filter=downstream_(rq%7Ccx)_active%24')
EOF
  [ "$raw" -gt 0 ] || raw=0
  echo $((requests + raw))
}

sleep "$1"
# The first has answers say that their connection ends, the second closes the ports.
ask POST /healthcheck/fail >/dev/null
ask POST /drain_listeners >/dev/null
left=$2
while [ "$left" -gt 0 ] && [ "$(open)" -gt 0 ]; do
  sleep 1
  left=$((left - 1))
done
