#!/usr/bin/env bash
# mappings.sh THALWEG BIN FUNCTIONS WORK: runs mappings.py and powertools.py
# against a server of its own, whose on-failure destinations are at a moto server,
# and whose functions have the Python and the packages of BIN, a virtual
# environment's. FUNCTIONS has the functions, WORK is a scratch folder.
set -euo pipefail
thalweg=$1 bin=$2 functions=$3 work=$4/mappings
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
export PATH=$bin:$PATH
pids=()
finish() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; wait "$p" 2>/dev/null || true; done; }
trap finish EXIT

port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
elsewhere=http://127.0.0.1:$port
"$bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
pids+=($!)
"$thalweg" serve --listen 127.0.0.1:0 --data "$work/data" --limits off \
  --s3-endpoint "$elsewhere" --sqs-endpoint "$elsewhere" --sns-endpoint "$elsewhere" >"$work/ready" 2>"$work/log" &
pids+=($!)
for _ in $(seq 300); do
  grep -qs ready "$work/ready" && "$bin/python" -c "import urllib.request; urllib.request.urlopen('$elsewhere/moto-api/')" 2>/dev/null && break
  sleep 0.1
done
AWS_ENDPOINT_URL=$(grep -o 'http://[0-9.:]*' "$work/ready")
export AWS_ENDPOINT_URL
"$bin/python" "$here/mappings.py" "$functions" "$elsewhere" "$work" && "$bin/python" "$here/powertools.py" "$functions/orders.py" "$work" ||
  { tail -n 20 "$work/log" >&2; exit 1; }
