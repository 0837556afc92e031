#!/usr/bin/env bash
# Functions with the AWS CLI, as the tutorials have it: create, invoke, update,
# delete. Needs AWS_ENDPOINT_URL; its argument is a folder with the functions
# and a bootstrap in Go.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$1"
export AWS_PAGER=
for f in bootstrap app.py app.mjs; do python3 -m zipfile -c "$work/$f.zip" "$f"; done
chmod +x bootstrap
want() { grep -q -- "$1" "$2" || { echo "no $1 in:"; cat "$2"; exit 1; }; }
for of in "cli-go provided.al2023 bootstrap bootstrap" "cli-python python3.12 app.handler app.py" "cli-node nodejs22.x app.handler app.mjs"; do
  read -r name runtime handler file <<<"$of"
  aws lambda create-function --function-name $name --runtime $runtime --handler $handler --timeout 30 --memory-size 512 \
    --role arn:aws:iam::000000000000:role/r --zip-file "fileb://$work/$file.zip" >"$work/out"
  aws lambda wait function-active-v2 --function-name $name
  aws lambda invoke --function-name $name --payload '{"hello":"world"}' --log-type Tail --query LogResult --output text "$work/answer" | base64 -d >"$work/log"
  want '"hello": *"world"' "$work/answer"
  want 'hello from' "$work/log"
  want 'REPORT RequestId' "$work/log"
  aws lambda invoke --function-name $name --payload '{"Fail":true}' "$work/answer" >"$work/out"
  want '"FunctionError": "Unhandled"' "$work/out"
  want 'no good' "$work/answer"
  aws lambda invoke --function-name $name --invocation-type Event --payload '{}' "$work/answer" >"$work/out"
  want 202 "$work/out"
  aws lambda invoke --function-name $name --invocation-type DryRun "$work/answer" >"$work/out"
  want 204 "$work/out"
  aws lambda update-function-configuration --function-name $name --environment 'Variables={MINE=yes}' >"$work/out"
  aws lambda wait function-updated --function-name $name
  aws lambda invoke --function-name $name --payload '{}' "$work/answer" >"$work/out"
  want '"mine": *"yes"' "$work/answer"
  aws lambda update-function-code --function-name $name --zip-file "fileb://$work/$file.zip" --publish --query Version --output text >"$work/out"
  want '^1$' "$work/out"
  aws lambda list-versions-by-function --function-name $name --query 'Versions[].Version' --output text >"$work/out"
  want 'LATEST.1' "$work/out"
  aws lambda delete-function --function-name $name
  if aws lambda get-function --function-name $name 2>"$work/out"; then echo "$name is not gone"; exit 1; fi
  want ResourceNotFoundException "$work/out"
done
echo "AWS CLI functions: ok"
