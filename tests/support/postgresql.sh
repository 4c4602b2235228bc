#!/usr/bin/env bash
# Runs a command with TEST_DATABASE_URL set: as it is, or to a PostgreSQL server that lives as long as the command.
# Ends with 3 where there is neither.
set -Eeuo pipefail

if [ -n "${TEST_DATABASE_URL:-}" ]; then exec "$@"; fi

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1 || true)
if [ -z "$programs" ]; then
    echo "No TEST_DATABASE_URL, and no PostgreSQL server is installed." >&2
    exit 3
fi

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

folder=$(mktemp -d /tmp/console-postgresql.XXXXXX)
server=""
finish() {
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
if [ "$(id -u)" -eq 0 ]; then chown postgres "$folder"; fi
(cd "$folder" && as_postgres "$programs/initdb" --pgdata "$folder/data" --username console --auth trust --no-sync >/dev/null)
if [ "$(id -u)" -eq 0 ]; then
    # The server itself and not a program around it, so that it can be ended.
    (cd "$folder" && exec setpriv --reuid postgres --regid postgres --init-groups "$programs/postgres" \
        -D "$folder/data" -h 127.0.0.1 -p "$port" -k '' -c fsync=off) >"$folder/server.log" 2>&1 &
else
    (cd "$folder" && exec "$programs/postgres" -D "$folder/data" -h 127.0.0.1 -p "$port" -k '' -c fsync=off) \
        >"$folder/server.log" 2>&1 &
fi
server=$!
for _ in $(seq 100); do
    if "$programs/pg_isready" --quiet --host 127.0.0.1 --port "$port"; then break; fi
    sleep 0.2
done
"$programs/createdb" --host 127.0.0.1 --port "$port" --username console console
TEST_DATABASE_URL="postgres://console@127.0.0.1:$port/console" "$@"
