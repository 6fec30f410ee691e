#!/usr/bin/env bash
# Several machines with ssh between them: one Ray cluster over all of them, for as long as this script runs.
#
# Run it:   bash several_machines.sh HEAD_ADDRESS WORKER...       on the machine that is to be the head
# Stop it:  Ctrl-C here, or: kill PID (the PID that it prints). Every machine then stops what this script started
#           there and nothing else. `ray stop` would stop every Ray on a machine, also those of other people.
#
#   HEAD_ADDRESS  this machine's IP address, as the workers reach it
#   WORKER        ssh destinations, such as gpu2 or me@gpu3; ssh must log in without asking (keys, ssh-agent)
#
# What every machine needs:
#   - Ray and what else bissl-ray needs, of the same versions, at the same path (a virtual environment on shared disk
#     gives that); bissl-ray itself goes along with the sweep;
#   - one storage that all of them reach: a shared folder at one path, or s3://, gs://. A trial's checkpoint is
#     written by the machine that ran it, and read by the one that goes on with it or fine-tunes from it;
#   - the dataset's folder (--data-dir) and the checkpoint (--pretrained), at the same paths.
#   - a network between them that you trust, closed to others: the token keeps strangers out, but Ray encrypts nothing.
#
# Settings, from the environment: PORT [6379], DASHBOARD_PORT [8265], CLIENT_PORT [10001].
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: bash several_machines.sh HEAD_ADDRESS WORKER..." >&2
    exit 2
fi
head_address=$1
shift
port=${PORT:-6379}
programs=$(dirname "$(command -v ray)")

umask 077
export RAY_AUTH_MODE=token
ray get-auth-token --generate > /dev/null

# Each worker lives as long as its ssh connection's standard input, which this script holds open through a pipe:
# however this script ends, the workers see the end of the pipe and stop what they started.
pipe=$(mktemp -d)/hold
mkfifo "$pipe"
exec {hold}<> "$pipe"

stop() {
    exec {hold}>&-
    kill -TERM "$head" 2> /dev/null || true
    wait || true
    rm -r "$(dirname "$pipe")"
}

ray start --head --block --disable-usage-stats --node-ip-address "$head_address" --port "$port" \
    --dashboard-port "${DASHBOARD_PORT:-8265}" --ray-client-server-port "${CLIENT_PORT:-10001}" {hold}>&- &
head=$!
trap stop EXIT
trap 'exit 0' INT TERM HUP

until (exec 3<> "/dev/tcp/$head_address/$port") 2> /dev/null; do
    kill -0 "$head" || { echo "the head did not start" >&2; exit 1; }
    sleep 1
done

# The token travels through the encrypted connection and stays in the environment of the worker's own processes.
token=$(ray get-auth-token 2> /dev/null)
for worker in "$@"; do
    ssh -o ServerAliveInterval=30 "$worker" "exec env RAY_AUTH_MODE=token PATH='$programs':\"\$PATH\" bash -c '
        read -r RAY_AUTH_TOKEN
        export RAY_AUTH_TOKEN
        ray start --address $head_address:$port --block --disable-usage-stats < /dev/null & ray=\$!
        cat <&0 > /dev/null & held=\$!
        wait -n
        kill -TERM \$ray \$held 2> /dev/null
        wait
    '" < <(exec {hold}>&-; echo "$token"; exec cat "$pipe") {hold}>&- &
done

cat << END

Wait until the machines have joined (RAY_AUTH_MODE=token ray status --address $head_address:$port), then:

  export RAY_AUTH_MODE=token
  bissl-ray sweep --address $head_address:$port --storage SHARED_FOLDER_OR_URI

SHARED_FOLDER_OR_URI: storage that every machine reaches. Stop the cluster with Ctrl-C here, or: kill $$

END

wait -n || true
echo "one of the machines is gone: stopping the others (a sweep goes on with: bissl-ray resume NAME)" >&2
exit 1
