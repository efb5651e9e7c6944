#!/usr/bin/env bash
# Makes a one-layer image of files on this machine and imports it into the cluster. No registry, no builder.
#   image.sh [-l] [-o FILE.tar] [-u USER] [-e K=V]... REF ENTRYPOINT_JSON FILE:/PATH...
#   image.sh -r ROOTFS [-o FILE.tar] [-u USER] [-e K=V]... REF ENTRYPOINT_JSON
# -l adds the shared libraries that ldd lists. -r takes a whole root file system, a folder or a tar (mmdebstrap).
# -o only writes the archive (docker-archive, which containerd, docker, podman, skopeo and buildah read).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out='' user='' env='"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"' libs='' rootfs=''
while getopts lo:u:e:r: f; do case $f in
  l) libs=1 ;; o) out=$OPTARG ;; u) user=$OPTARG ;; r) rootfs=$OPTARG ;;
  e) env+=",$(jq -Rn --arg v "$OPTARG" '$v')" ;; *) exit 2 ;;
  esac; done
shift $((OPTIND - 1))
ref=$1 entry=$2
shift 2
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
mkdir "$d/root" "$d/img"
archive() { tar --sort=name --mtime=@0 --numeric-owner "$@"; }
if [ -f "$rootfs" ]; then
  cp "$rootfs" "$d/layer.tar"
elif [ -d "$rootfs" ]; then
  archive -C "$rootfs" -cf "$d/layer.tar" .
else
  put() { mkdir -p "$d/root$(dirname "$2")" && cp -rL "$1" "$d/root$2"; }
  for p in "$@"; do
    put "${p%%:*}" "${p#*:}"
    [ -z "$libs" ] || for l in $(ldd "${p%%:*}" 2>/dev/null | grep -o '/[^ ]*'); do put "$l" "$l"; done
  done
  mkdir -p "$d/root/tmp"
  chmod 1777 "$d/root/tmp"
  archive --owner=0 --group=0 -C "$d/root" -cf "$d/layer.tar" .
fi
layer=$(sha256sum <"$d/layer.tar" | cut -d' ' -f1)
mkdir "$d/img/$layer"
mv "$d/layer.tar" "$d/img/$layer/layer.tar"
arch=$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":%s,"Env":[%s],"User":"%s","WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$arch" "$entry" "$env" "$user" "$layer" >"$d/config.json"
config=$(sha256sum <"$d/config.json" | cut -d' ' -f1)
mv "$d/config.json" "$d/img/$config.json"
printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]' "$config" "$ref" "$layer" >"$d/img/manifest.json"
archive -C "$d/img" -cf "${out:-$d/out.tar}" .
[ -n "$out" ] || "$here/import.sh" "$d/out.tar"
echo "$ref"
