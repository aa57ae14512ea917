#!/usr/bin/env bash
# What the guides in this folder share; to be sourced. Each starts ./chatapi, unless BASE names a server that
# runs, and asks it what a guide asks. `curl` puts the real address, keys and ids where the guide has its
# placeholders. Needs bash, curl, openssl.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=${CHATAPI_BIN:-$repository/chatapi}
is_running=${BASE:+yes}
PORT=${PORT:-8080}
BASE=${BASE:-http://localhost:$PORT}
answer=''
server=''
log=''
# What stands in a guide, and what it stands for: told by `means`.
placeholders=()
meanings=()

means() {
	placeholders+=("$1")
	meanings+=("$2")
}

curl() {
	local argument arguments=() index
	for argument in "$@"; do
		for index in "${!placeholders[@]}"; do
			argument=${argument//"${placeholders[$index]}"/"${meanings[$index]}"}
		done
		arguments+=("$argument")
	done
	answer=$(command curl --silent --show-error --max-time 10 "${arguments[@]}")
	printf '%s\n' "$answer"
}

fail() {
	printf 'FAILED: %s\n' "$1" >&2
	exit 1
}

# The text (or number) of a field of the last answer, which must be there.
field() {
	local text
	text=$(grep -o "\"$1\":\(\"[^\"]*\"\|[0-9]\+\)" <<<"$answer" | head -n 1 | sed 's/^"[^"]*"://; s/"//g') || true
	[ -n "$text" ] || fail "the answer has no $1: $answer"
	printf '%s' "$text"
}

# The field of the last answer must match this pattern.
expect() {
	local text
	text=$(field "$1")
	grep -Eqx -- "$2" <<<"$text" || fail "$1 is $text, not $2"
}

stop() {
	[ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" || true
	server=''
}

start() {
	[ -z "$is_running" ] || return 0
	stop
	[ -x "$binary" ] || fail "$binary is not there: npm run build makes it"
	log=$folder/log-$1
	# The server may be slower to open it than the first look below.
	: >"$log"
	(cd "$folder" && LISTEN_ADDR=":$PORT" exec "$binary") >"$log" &
	server=$!
	for _ in $(seq 100); do
		! grep -q '"msg":"Listening"' "$log" || return 0
		kill -0 "$server" 2>/dev/null || fail "the server ended; PORT or BASE may help. It said: $(cat "$log")"
		sleep 0.1
	done
	fail 'the server did not listen within ten seconds'
}

# Begins with a server: the one that runs, or one of its own, in a folder that is removed at the end.
begin() {
	[ -z "$is_running" ] || return 0
	folder=$(mktemp -d)
	trap 'stop; rm -rf "$folder"' EXIT
	export MASTER_API_KEY=${MASTER_API_KEY:-$(openssl rand -hex 32)}
	start first
}

finish() {
	printf 'Every command of the guide gave what it promises.\n'
}
