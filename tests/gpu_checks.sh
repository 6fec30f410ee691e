#!/usr/bin/env bash
# The tests that need a CUDA device and the benchmarks, on a machine without a package index, in under 8 minutes.
#
#   tests/gpu_checks.sh [--small] [FOLDER]
#
# FOLDER holds wheels that were carried along (they are unpacked, and nothing is fetched), or packages that lie there
# ready to import. $PYTHON is the Python to take (python3), with the torch that it has. One JSON is written,
# $OUT/gpu_checks.json or ./gpu_checks.json: card, driver, versions, and of each part its command, exit code, seconds,
# figures and last lines. A part that fails is written down as that, and the others go on. $PARTS names some of them,
# instead of all. --small makes the benchmarks so small that a CPU does them in seconds.
set -u

small=0 carried=
for argument in "$@"; do
  case $argument in
    --small) small=1 ;;
    -*) echo "found $argument; expected --small or a folder of wheels" >&2; exit 2 ;;
    *) carried=$(cd "$argument" && pwd) || { echo "found no folder $argument; expected one with wheels" >&2; exit 2; } ;;
  esac
done
python=${PYTHON:-python3}
parts=${PARTS:-tests hypergradient train tasks augment sharing}
out=$(cd "${OUT:-.}" && pwd) || exit 2
cd "$(dirname "$0")/.." || exit 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Wheels
if [ -n "$carried" ]; then
  packages=$carried
  if compgen -G "$carried/*.whl" > /dev/null; then
    packages=$scratch/packages
    "$python" -m pip install --quiet --no-index --no-deps --target "$packages" "$carried"/*.whl \
      || for wheel in "$carried"/*.whl; do "$python" -m zipfile -e "$wheel" "$packages"; done
  fi
  export PYTHONPATH="$PWD:$packages${PYTHONPATH:+:$PYTHONPATH}"
else
  export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
fi
export BISSL_RAY_CACHE="$scratch/cache" PYTHONDONTWRITEBYTECODE=1

# Parts
most=470 SECONDS=0
part() { # NAME SECONDS COMMAND...: run one, at most so long, and write down how it went
  local name=$1 limit=$2 begin=$SECONDS code=125 left=$((most - SECONDS))
  shift 2
  [[ " $parts " == *" $name "* ]] || return
  [ "$left" -lt "$limit" ] && limit=$left
  printf '%s\n' "$*" > "$scratch/$name.command"
  if [ "$limit" -gt 0 ]; then
    echo "... $name" >&2
    timeout -k 5 "$limit" "$@" > "$scratch/$name.said" 2>&1
    code=$?
  else
    echo "no time was left for it" > "$scratch/$name.said"
  fi
  echo "$code $((SECONDS - begin))" > "$scratch/$name.end"
  echo "    exit code $code after $((SECONDS - begin)) s" >&2
}
measure() { # NAME SECONDS FLAGS...: a benchmark
  local name=$1 limit=$2
  shift 2
  part "$name" "$limit" "$python" -m bissl_ray bench "$name" "$@" --json --save "$scratch/$name.json"
}

# shellcheck disable=SC2046  # names of files, which have no spaces
part tests 170 "$python" -m pytest -m gpu -p no:cacheprovider $(grep -rl --include="test_*.py" "^from tests.gpu import" tests | sort)
if [ "$small" = 1 ]; then
  export OMP_NUM_THREADS=1
  measure hypergradient 60 --backbone smallconv --size 16 --batch 8 --upper-steps 2 --pretrain-steps 2
  measure train 60 --backbone smallconv --size 16 --batch 8 --steps 1 --rounds 1 --photographs 20 --side 40 --processes 0
  measure tasks 60 --backbone smallconv --size 32 --lower-batch 2 --upper-batch 2 --lower-steps 1 --upper-steps 1 --rounds 1
  measure augment 60
  measure sharing 60 --trials 1 --seconds 0.2
else
  cores=$(nproc)
  measure hypergradient 100 --backbone resnet50 --batch 64 --pretrain-steps 50
  measure train 110 --backbone resnet50 --batch 256 --precision bfloat16 --processes "$((cores > 2 ? cores - 2 : 1))" \
    --photographs 1024 --rounds 2
  measure tasks 60
  measure augment 60
  measure sharing 60 --trials 1,2,4 --seconds 5
fi

# One JSON
# shellcheck disable=SC2086  # words
"$python" - "$scratch" "$out/gpu_checks.json" "$SECONDS" $parts <<'PYTHON'
import json
import platform
import subprocess
import sys
from pathlib import Path

scratch, target, seconds, *names = sys.argv[1:]


def version(name):
    try:
        return __import__(name).__version__
    except Exception as error:
        return f"none: {error}"


def driver():
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except Exception as error:
        return f"none: {error}"


def card():
    try:
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    except Exception as error:
        return f"none: {error}"


def part(name):
    folder = Path(scratch)
    if not (folder / f"{name}.end").exists():
        return {"name": name, "command": None, "code": None, "seconds": 0, "result": None, "said": ["no such part"]}
    code, took = map(int, (folder / f"{name}.end").read_text().split())
    said = (folder / f"{name}.said").read_text("utf-8", "replace").strip().splitlines()
    figures = folder / f"{name}.json"
    return {
        "name": name,
        "command": (folder / f"{name}.command").read_text().strip().replace(scratch, "$scratch"),
        "code": code,
        "seconds": took,
        "result": json.loads(figures.read_text()) if code == 0 and figures.exists() else None,
        "said": said[-5:] if code == 0 and name == "tests" else said[-40:] if code else [],
    }


found = {
    "card": card(),
    "driver": driver(),
    "python": platform.python_version(),
    "torch": version("torch"),
    "torchvision": version("torchvision"),
    "seconds": int(seconds),
    "parts": [part(name) for name in names],
}
Path(target).write_text(json.dumps(found, indent=2) + "\n", "utf-8")
PYTHON
echo "written: $out/gpu_checks.json" >&2
