#!/usr/bin/env bash
# Runs the README's quick start for the AWS CLI and boto3, as it is written,
# against a server started as it says: no flags, port 4567, a fresh folder.
set -euo pipefail
readme=$1
dir=$(mktemp -d)
cd "$dir"
export HOME=$dir AWS_CONFIG_FILE=$dir/aws-config
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION

# block NAME: the code block that follows <!-- run: NAME -->.
block() { awk -v mark="<!-- run: $1 -->" '$0 == mark {on = 1; next} on && /^```/ {if (inside) exit; inside = 1; next} on && inside' "$readme"; }

thalweg serve >ready 2>log &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do
  grep -q ready ready && break
  kill -0 $server 2>/dev/null || { cat log; exit 1; }
  sleep 0.1
done

# has TEXT FILE: the output must hold the text.
has() { grep -q -- "$1" "$2" || { echo "the output lacks $1:"; cat "$2"; exit 1; }; }

block awscli >cli.sh
[ -s cli.sh ]
bash -euo pipefail cli.sh >cli.out 2>&1 || { cat cli.out; exit 1; }
for data in '20.5 degrees' '21.0' '18.5' '21.5 degrees'; do has "$(printf '%s' "$data" | base64)" cli.out; done
has shardId-000000000002 cli.out

block boto3 >clicks.py
[ -s clicks.py ]
python clicks.py >clicks.out 2>&1 || { cat clicks.out; exit 1; }
for line in 'shardId-000000000000 anna home' 'shardId-000000000000 anna basket' 'shardId-000000000000 ben home' 'anna thanks'; do has "$line" clicks.out; done
[ "$(wc -l <clicks.out)" = 4 ] || { echo "not four records:"; cat clicks.out; exit 1; }
echo "README: the AWS CLI and boto3 blocks ran as written"
