#!/usr/bin/env bash
# Makes .venv and installs isthmus with everything that demo, tests and docs need. Checks for the system libraries of headless rendering.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
for library in libEGL.so.1:libegl1 libGL.so.1:libgl1 libGLdispatch.so.0:libglvnd0; do
  ldconfig -p 2>/dev/null | grep -q "${library%%:*}" || packages+=("${library##*:}")
done
# Mesa's software driver is found through its vendor file, not through the linker.
ls /usr/share/glvnd/egl_vendor.d/*.json >/dev/null 2>&1 || packages+=(libegl-mesa0 libgl1-mesa-dri)
# PyBullet has no wheel for CPython above 3.11 and is compiled there.
minor=$("${PYTHON:-python3}" -c 'import sys; print(sys.version_info.minor)')
if [ "$minor" -gt 11 ] && ! command -v g++ >/dev/null; then packages+=(g++ python3-dev); fi
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "installing system packages: ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  else
    echo "system packages are missing; run this line, then make again:" >&2
    echo "  sudo apt-get install -y ${packages[*]}" >&2
    exit 1
  fi
fi

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install -q --upgrade pip -c constraints.txt
.venv/bin/python -m pip install -q -c constraints.txt -e '.[dev]'
# The stubs name two properties `lambda`, as the C++ library does; mypy refuses to read such a file.
sed -i 's/def lambda(/def lambda_(/' .venv/lib/python3.*/site-packages/isaacgym-stubs/gymapi.pyi
