#!/usr/bin/env bash
# Makes the image of the sample agents from Debian packages, and prints the path of its archive. Takes half a minute the first
# time, nothing when it is there already: the root file system is kept per list of packages, the archive per content of agents/.
#   tests/cluster/import.sh "$(examples/image.sh)"
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
images=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}/images
ref=${FLEETSCOPE_IMAGE_PREFIX:-localhost/fleetscope}/sample-agents:${FLEETSCOPE_IMAGE_TAG:-dev}
packages=base-files,coreutils,dash,git,libc6-dev,libpython3-stdlib,python3-grpcio,python3-minimal,tcc
suite=bookworm
# What no agent reads: translations, manuals, the scripts of git and perl itself, git over the network.
unused=(usr/share/{doc,info,lintian,locale,man,perl,perl5,zoneinfo,gitweb,bash-completion} 'usr/lib/*/'{gconv,perl,perl5,perl-base}
  'usr/lib/python3*/'{idlelib,lib2to3,pydoc_data,test,turtledemo} usr/lib/git-core/git-{daemon,'http-*',imap-send,'remote-*',shell}
  usr/bin/scalar var/cache var/lib/{apt,dpkg})

command -v mmdebstrap >/dev/null || { echo "examples/image.sh: mmdebstrap is missing: make setup" >&2; exit 1; }
mkdir -p "$images"
stamp() { sha256sum | cut -c1-12; }
rootfs=$images/sample-rootfs-$(printf '%s\n' "$packages" "$suite" "${unused[@]}" | stamp)
archive=$images/sample-agents-$( (basename "$rootfs"; echo "$ref"; cd "$here" && find agents -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum) | stamp).tar

work=$(mktemp -d "$images/.sample-XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -d "$rootfs" ]; then
  echo "examples/image.sh: unpacking $packages of Debian $suite" >&2
  # Unpacked only: no maintainer script runs, so what they would do and an agent needs is done here.
  mmdebstrap --quiet --variant=extract --mode=root --include="$packages" "$suite" "$work/rootfs.tar" >&2
  mkdir "$work/rootfs"
  tar -xf "$work/rootfs.tar" -C "$work/rootfs" --exclude='./dev/*'
  # shellcheck disable=SC2086 # they are patterns
  (cd "$work/rootfs" && shopt -s nullglob && for f in "${unused[@]}"; do rm -rf ./$f; done)
  ln -sf dash "$work/rootfs/bin/sh"
  echo 'agent:x:1000:1000::/workspace:/bin/sh' >"$work/rootfs/etc/passwd"
  mkdir -p "$work/rootfs/workspace"
  mv -T "$work/rootfs" "$rootfs"
fi
if [ ! -f "$archive" ]; then
  # Links, not copies: the files are only read.
  cp -al "$rootfs" "$work/image"
  rm -rf "$work/image/agents"
  mkdir "$work/image/agents"
  cp -r "$here"/agents/. "$work/image/agents"
  rm -rf "$work/image/agents/__pycache__"
  "$here/../tests/cluster/image.sh" -r "$work/image" -u 1000:1000 -o "$work/image.tar" "$ref" '[]' >&2
  mv "$work/image.tar" "$archive"
  find "$images" -maxdepth 1 -name 'sample-agents-*.tar' ! -path "$archive" -delete
fi
echo "$archive"
