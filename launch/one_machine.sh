#!/usr/bin/env bash
# One machine: a Ray cluster that outlives a sweep and takes several, reachable from this machine only.
#
# Run it:   bash one_machine.sh                     (in tmux or screen to leave it running)
# Stop it:  Ctrl-C here, or: kill PID               (the PID that it prints; it takes all its processes along)
#
# `ray stop` would stop every Ray on this machine, also those of other people: don't use it for this.
# A single sweep needs none of this: `bissl-ray sweep` without --address starts a cluster of its own.
#
# Settings, from the environment:
#   PORT            where sweeps attach            [6379]
#   DASHBOARD_PORT  Ray's web page                 [8265]
#   CLIENT_PORT     Ray's client server            [10001]
#   NUM_CPUS        CPUs to offer                  [all that this process may use]
# GPUs: those in CUDA_VISIBLE_DEVICES, or all.
set -euo pipefail

port=${PORT:-6379}

# Any process of this machine can reach the port; the token keeps other users out. Ray writes the file with the
# permissions that the umask leaves, so that without this line everybody could read it.
umask 077
export RAY_AUTH_MODE=token
ray get-auth-token --generate > /dev/null

# Ray would exchange 127.0.0.1 for the machine's outer address and listen on every interface. With this (a variable
# that Ray has for other systems) it does not. What attaches needs it too, or looks for the cluster out there.
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0

cat << END

Ray starts on 127.0.0.1:$port. Attach with:

  export RAY_AUTH_MODE=token RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0
  bissl-ray sweep --address 127.0.0.1:$port

Stop it with Ctrl-C here, or from elsewhere with:

  kill $$

END

exec ray start --head --block --disable-usage-stats \
    --node-ip-address 127.0.0.1 --port "$port" \
    --dashboard-port "${DASHBOARD_PORT:-8265}" --ray-client-server-port "${CLIENT_PORT:-10001}" \
    --num-cpus "${NUM_CPUS:-$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)}" # which would say OMP_NUM_THREADS
