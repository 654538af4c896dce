# Sourced by the other scripts: what they share. Everything a script makes lies below .cache and target.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CACHE="$PWD/.cache"
mkdir -p "$CACHE"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n  %s\n' "$1" "$2" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    fail "cannot install $*" "run this as root, or install these Debian packages yourself"
  fi
}

# debian PACKAGE...: installs what is missing.
debian() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  as_root apt-get update -qq >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building needs: a C compiler for SQLite and the crypto library, and the system's certificates.
build_tools() {
  command -v cargo >/dev/null || fail "cargo is not there" "install Rust 1.95 or newer"
  command -v cc >/dev/null && [ -e /usr/include/stdio.h ] || debian gcc libc6-dev
  [ -e /etc/ssl/certs/ca-certificates.crt ] || debian ca-certificates
}

# python_env NAME MODULE PACKAGE...: a virtual environment below .cache, made once.
python_env() {
  local name="$1" module="$2"
  shift 2
  [ -x "$CACHE/$name/bin/python" ] && "$CACHE/$name/bin/python" -c "import $module" 2>/dev/null && return
  command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null || debian python3 python3-venv
  say "installing $* into .cache"
  rm -rf "${CACHE:?}/$name"
  mkdir -p "$(dirname "$CACHE/$name")"
  python3 -m venv "$CACHE/$name"
  "$CACHE/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# A real HTTP service that echoes what it is sent.
install_httpbin() {
  python_env httpbin httpbin 'httpbin==0.10.4'
  HTTPBIN="$CACHE/httpbin/bin/python"
}

# The clients that `tacit run` is tried with. TACIT_TEST_CLIENTS says where.
install_clients() {
  command -v curl >/dev/null || debian curl
  command -v git >/dev/null || debian git
  command -v openssl >/dev/null || debian openssl
  command -v go >/dev/null || debian golang-go
  command -v java >/dev/null && command -v javac >/dev/null || debian default-jdk-headless
  command -v node >/dev/null && command -v npm >/dev/null || fail "node is not there" "install Node 20 or newer"
  python_env clients/python 'requests, httpx, h2' 'requests==2.32.5' 'httpx[http2]==0.28.1'
  if [ ! -d "$CACHE/clients/node/node_modules/axios" ]; then
    say "installing axios and undici into .cache"
    npm install --silent --no-audit --no-fund --prefix "$CACHE/clients/node" axios@1.13.2 undici@7.16.0
  fi
  export TACIT_TEST_CLIENTS="$CACHE/clients"
}

# A client of the Model Context Protocol that `tacit mcp` is tried with. TACIT_TEST_MCP_PYTHON says where.
install_mcp_client() {
  python_env mcp mcp 'mcp==2.3.0'
  export TACIT_TEST_MCP_PYTHON="$CACHE/mcp/bin/python"
}

# A real OAuth2 server, and a service that takes its tokens.
install_oauth() {
  command -v node >/dev/null && command -v npm >/dev/null || fail "node is not there" "install Node 20 or newer"
  [ -d "$CACHE/oauth/node_modules/oidc-provider" ] && return
  say "installing oidc-provider into .cache"
  npm install --silent --no-audit --no-fund --prefix "$CACHE/oauth" oidc-provider@9.5.2
}

# An SSH server with a user of its own, whom passwords and keys sign in. TACIT_TEST_SFTP_USER and _PASSWORD say who.
install_sshd() {
  [ -x /usr/sbin/sshd ] || debian openssh-server
  local user=tacit-sftp
  if [ ! -s "$CACHE/sshd-password" ] || ! id "$user" >/dev/null 2>&1; then
    id "$user" >/dev/null 2>&1 || as_root useradd --no-create-home --home-dir / --shell /usr/sbin/nologin "$user"
    (umask 077 && od -An -N18 -tx1 /dev/urandom | tr -d ' \n' >"$CACHE/sshd-password")
    printf '%s:%s\n' "$user" "$(cat "$CACHE/sshd-password")" | as_root chpasswd
  fi
  as_root mkdir -p /run/sshd
  export TACIT_TEST_SFTP_USER="$user" TACIT_TEST_SFTP_PASSWORD="$(cat "$CACHE/sshd-password")"
}

# A storage service that verifies signatures. TACIT_TEST_S3_PYTHON says where.
install_s3() {
  python_env s3 'moto, flask, boto3' 'moto[server,s3,iam]==5.2.5'
  export TACIT_TEST_S3_PYTHON="$CACHE/s3/bin/python"
}

# A proxy that the benchmark measures Tacit's beside.
install_mitmproxy() { python_env mitmproxy mitmproxy 'mitmproxy==11.0.2'; }

# start_httpbin PORT [LOG]: in the background; its process id is HTTPBIN_PID. With LOG, the service writes down which
# credentials it got, as any service could.
start_httpbin() {
  HTTPBIN_SEEN="${2:-}" "$HTTPBIN" - "$1" >"$CACHE/httpbin.log" 2>&1 <<'PYTHON' &
import os, sys
from flask import request
from httpbin import app

@app.before_request
def write_down():
    if os.environ["HTTPBIN_SEEN"]:
        with open(os.environ["HTTPBIN_SEEN"], "a") as log:
            print(request.method, request.path, request.headers.get("Authorization", "-"), file=log)

app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
PYTHON
  HTTPBIN_PID=$!
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.1
  done
  fail "httpbin did not start on port $1" "look at .cache/httpbin.log"
}

# start_oauth PORT: in the background; its process id is OAUTH_PID.
start_oauth() {
  node scripts/oauth-server.mjs "$CACHE/oauth" "$1" >"$CACHE/oauth.log" 2>&1 &
  OAUTH_PID=$!
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.1
  done
  fail "the OAuth2 server did not start on port $1" "look at .cache/oauth.log"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
