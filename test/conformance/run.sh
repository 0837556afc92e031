#!/usr/bin/env bash
# Runs the conformance session with every client, against one server started
# with nothing but a port and a folder, and without AWS's limits. A missing tool
# is a failure.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
root=$(cd ../.. && pwd)
cache=${THALWEG_CONFORMANCE_CACHE:-$root/bin/conformance}
work=$(mktemp -d)
mkdir -p "$cache"
server=

stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; }
finish() {
  stop
  rm -rf "$work"
}
trap finish EXIT

# need TOOL PACKAGES: finds the tool, or installs it where Debian's packages can be.
need() {
  command -v "$1" >/dev/null && return
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $2 >/dev/null && return
  fi
  echo "conformance: $1 is missing (Debian: apt-get install $2)" >&2
  exit 1
}
need python3 "python3 python3-venv"
need node "nodejs npm"
need npm npm
need javac default-jdk-headless
need mvn maven
need curl curl

(cd "$root" && go build -o "$work/thalweg" ./cmd/thalweg)

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
# serve LIMITS: starts a server, in place of the one there was.
serve() {
  stop
  : >"$work/ready"
  # Functions in Python run with the interpreter, and the boto3, of the sessions.
  PATH="$cache/venv/bin:$PATH" "$work/thalweg" serve --listen 127.0.0.1:0 --data "$work/data-$1" --limits "$1" >"$work/ready" 2>"$work/log" &
  server=$!
  for _ in $(seq 100); do
    grep -q ready "$work/ready" && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
  done
  THALWEG_HTTP=$(grep -o 'http://[0-9.:]*' "$work/ready")
  export THALWEG_HTTP THALWEG_HTTPS="https://localhost:${THALWEG_HTTP##*:}"
  CA_FILE=$(find "$work/data-$1" -name ca.pem)
  export CA_FILE NODE_EXTRA_CA_CERTS=$CA_FILE
}
serve off

table=$work/table
failed=0
# client NAME COMMAND...: runs one client and notes the outcome.
client() {
  local name=$1 start=$SECONDS result=ok status
  shift
  # Bash ignores -e in all that a condition runs: a function would go on after what failed.
  set +e
  (set -e; "$@") >"$work/out" 2>&1
  status=$?
  set -e
  if [ "$status" != 0 ]; then
    result=FAILED failed=1
    sed "s|^|$name: |" "$work/out" | tail -n 60
  fi
  printf '%-44s %-7s %4d s\n' "$name" "$result" $((SECONDS - start)) | tee -a "$table"
}

python() {
  if [ ! -x "$cache/venv/bin/aws" ] || ! cmp -s boto3/requirements.txt "$cache/venv/requirements.txt"; then
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet -r boto3/requirements.txt
    cp boto3/requirements.txt "$cache/venv/requirements.txt"
  fi
}
js() { mkdir -p "$cache/js" && cp js/package.json js/*.mjs "$cache/js/" && (cd "$cache/js" && npm install --silent --no-audit --no-fund); }
java_classes() {
  mkdir -p "$cache/java" && cp -r java/pom.xml java/src "$cache/java/"
  (cd "$cache/java" && mvn -q -B compile dependency:build-classpath -Dmdep.outputFile=classpath.txt)
  rm -f "$work/trust.p12"
  keytool -importcert -noprompt -alias thalweg -file "$CA_FILE" -keystore "$work/trust.p12" -storetype PKCS12 -storepass changeit
}
java_client() {
  java -Djavax.net.ssl.trustStore="$work/trust.p12" -Djavax.net.ssl.trustStorePassword=changeit \
    -cp "$cache/java/target/classes:$(cat "$cache/java/classpath.txt")" "$1" "$2"
}
kpl_classes() {
  mkdir -p "$cache/kpl" && cp -r kpl/. "$cache/kpl/"
  for version in current v0; do
    (cd "$cache/kpl/$version" && mvn -q -B compile dependency:build-classpath -Dmdep.outputFile=classpath.txt)
  done
}
kpl() { KPL_MAIN=$2 KPL_CLASSPATH="$cache/kpl/$1/target/classes:$(cat "$cache/kpl/$1/classpath.txt")" go_tests TestKPL; }
flink_classes() {
  mkdir -p "$cache/flink" && cp -r flink/. "$cache/flink/"
  (cd "$cache/flink/$1" && mvn -q -B -Dconnector="${THALWEG_FLINK_CONNECTOR:-}" compile dependency:build-classpath -Dmdep.outputFile=classpath.txt)
}
flink() { FLINK_CONNECTOR=$1 FLINK_CLASSPATH="$cache/flink/$1/target/classes:$(cat "$cache/flink/$1/classpath.txt")" go_tests TestFlink; }
kcl_classes() {
  mkdir -p "$cache/kcl" && cp -r kcl/. "$cache/kcl/"
  for version in v3 v2 v1; do
    (cd "$cache/kcl/$version" && mvn -q -B compile dependency:build-classpath -Dmdep.outputFile=classpath.txt)
  done
}
kcl_python() {
  if [ ! -x "$cache/kclpy/bin/amazon_kclpy_helper.py" ] || ! cmp -s kcl/python/requirements.txt "$cache/kclpy/requirements.txt"; then
    python3 -m venv "$cache/kclpy"
    "$cache/kclpy/bin/pip" install --quiet -r kcl/python/requirements.txt
    cp kcl/python/requirements.txt "$cache/kclpy/requirements.txt"
  fi
}
kcl_node() {
  mkdir -p "$cache/kclnode" && cp kcl/node/* "$cache/kclnode/"
  cd "$cache/kclnode"
  npm install --silent --no-audit --no-fund
  # The jars that its program would fetch, all at once and without a second attempt; its list is a POM without a name.
  sed 's|<modelVersion>.*|&<groupId>aws</groupId><artifactId>kcl</artifactId><version>0</version>|' node_modules/aws-kcl/pom.xml >pom.xml
  mvn -q -B dependency:copy-dependencies -DexcludeTransitive -DoutputDirectory=node_modules/aws-kcl/lib/jars
}
kcl_classpath() { echo "$cache/kcl/$1/target/classes:$(cat "$cache/kcl/$1/classpath.txt")"; }
kcl() {
  KCL_CLASSPATH_V3=$(kcl_classpath v3) KCL_CLASSPATH_V2=$(kcl_classpath v2) KCL_CLASSPATH_V1=$(kcl_classpath v1) \
    KCL_PYTHON="$cache/kclpy/bin" KCL_NODE="$cache/kclnode" THALWEG_BINARY="$work/thalweg" go_tests TestKCL -parallel 6
}
# go_tests PATTERN FLAGS: tests of the package in go.
go_tests() { (cd go && go test -count=1 -run "$@" .); }
# go_client FOLDER: the tests of a client in Go; they mostly wait.
go_client() { (cd "go/$1" && go test -count=1 -parallel 16 .); }

functions() {
  mkdir -p "$work/functions" && cp functions/*.py functions/*.mjs functions/*.cjs "$work/functions/"
  (cd go && CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -ldflags=-s -o "$work/functions/bootstrap" ./function)
  mkdir -p "$cache/function" "$work/java" && cp functions/java/pom.xml "$cache/function/"
  (cd "$cache/function" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib)
  cp -r "$cache/function/lib" "$work/java/"
  javac -cp "$work/java/lib/*" -d "$work/java" functions/java/Hello.java
  (cd "$work/java" && python3 -m zipfile -c "$work/functions/java.zip" Hello.class lib)
  (cd go && CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -ldflags=-s -o "$work/functions/mapped" ./mapped)
}

client "install boto3 1.44.5, awscli 1.46.2, moto 5.2.5, Powertools 3.37.0" python
client "install @aws-sdk/client-kinesis 3.1143.0" js
client "install software.amazon.awssdk:kinesis 2.40.3" java_classes
client "install KPL 1.1.1 and 0.15.12" kpl_classes
client "install Flink 1.19.3, Kinesis 4.3.0" flink_classes v4
client "install KCL 3.5.1, 2.7.2 and 1.15.3" kcl_classes
client "install KCL for Python 2.2.3" kcl_python
client "install KCL for Node.js 2.3.2" kcl_node
client "boto3, JSON, HTTP/1.1" "$cache/venv/bin/python" boto3/session.py "$THALWEG_HTTP"
client "boto3, JSON, HTTP/1.1, TLS" "$cache/venv/bin/python" boto3/session.py "$THALWEG_HTTPS"
client "JavaScript v3, JSON, h2c" bash -c "cd '$cache/js' && node session.mjs '$THALWEG_HTTP'"
client "JavaScript v3, JSON, HTTP/2, TLS" bash -c "cd '$cache/js' && node session.mjs '$THALWEG_HTTPS'"
client "Java v2 async, CBOR, h2c" java_client Session "$THALWEG_HTTP"
client "Java v2 async, CBOR, HTTP/2, TLS" java_client Session "$THALWEG_HTTPS"
export AWS_CA_BUNDLE=$CA_FILE
client "Go v2, JSON, plain and TLS" go_tests TestGoSDK
client "tables: boto3, client and resource" env AWS_ENDPOINT_URL="$THALWEG_HTTP" "$cache/venv/bin/python" boto3/tables.py
client "tables: Go v2" go_tests TestGoTables
client "functions: build with aws-lambda-go, Java" functions
client "functions: boto3; Go, Python, Node, Java" env AWS_ENDPOINT_URL="$THALWEG_HTTP" "$cache/venv/bin/python" boto3/functions.py "$work/functions"
client "functions: AWS CLI; Go, Python, Node" env AWS_ENDPOINT_URL="$THALWEG_HTTP" PATH="$cache/venv/bin:$PATH" bash functions/cli.sh "$work/functions"
client "mappings: aws-lambda-go, Powertools, moto" bash boto3/mappings.sh "$work/thalweg" "$cache/venv/bin" "$work/functions" "$work"
client "fan-out: Go v2, plain and TLS" go_tests TestGoFanOut
client "Go v2, STS and CloudWatch" go_tests TestAround
client "bare wire: 2 encodings x 4 transports" go_tests TestWire
client "vmware-go-kcl-v2 1.0.0, polling and fan-out" go_client vmware
client "harlow/kinesis-consumer 0.5.0, alone and in a group" go_client harlow
client "Terraform's calls: streams, consumers, tables" go_client terraform
client "Telegraf 1.37.2, output and input" go_client telegraf
client "Go v1 1.55.8: streams, fan-out, tables" go_client v1
unset AWS_CA_BUNDLE
client "fan-out: boto3, HTTP/1.1" "$cache/venv/bin/python" boto3/fanout.py "$THALWEG_HTTP"
client "fan-out: boto3, HTTP/1.1, TLS" "$cache/venv/bin/python" boto3/fanout.py "$THALWEG_HTTPS"
client "fan-out: JavaScript v3, h2c" bash -c "cd '$cache/js' && node fanout.mjs '$THALWEG_HTTP'"
client "fan-out: JavaScript v3, HTTP/2, TLS" bash -c "cd '$cache/js' && node fanout.mjs '$THALWEG_HTTPS'"
client "fan-out: Java v2 async, CBOR, h2c" java_client FanOut "$THALWEG_HTTP"
client "fan-out: Java v2 async, CBOR, HTTP/2, TLS" java_client FanOut "$THALWEG_HTTPS"
serve aws
client "KPL 1.1.1, TLS verified, limits, a split" kpl current Current
client "KPL 0.15.12, STS, limits, a split" kpl v0 V0
client "Flink 1.19, polling, fan-out, sink, reshards" flink v4
if [ -n "${THALWEG_FLINK_CONNECTOR:-}" ]; then # a checkout of apache/flink-connector-aws: see README.md
  client "install Flink 2.0.1, Kinesis 6.0.1" flink_classes v6
  client "Flink 2.0, polling, fan-out, sink, reshards" flink v6
fi
client "KCL 3.5.1, 2.7.2, 1.15.3, Python, Node.js" kcl
client "README, AWS CLI and boto3" env PATH="$cache/venv/bin:$work:$PATH" bash readme.sh "$root/README.md"

echo
if [ "$failed" = 0 ]; then echo "conformance: every client ran its sessions to their end"; else echo "conformance: FAILED"; fi
exit "$failed"
