# shellcheck shell=bash
# Debian packages. Sourced by setup.sh.

# packages PART PACKAGE:PROOF...: installs the packages whose proof (a command, or a file) is not there. By proof and not by
# package name, so that a containerd or an LLVM from elsewhere is taken as it is. False when the part stays incomplete.
packages() {
  local part=$1 p proof missing=()
  shift
  for p in "$@"; do
    proof=${p#*:}
    command -v "$proof" >/dev/null || [ -e "$proof" ] || missing+=("${p%%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    incomplete+=("part $part lacks ${missing[*]} (Debian's names), and this machine has no apt: install them with its own package manager")
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    incomplete+=("part $part lacks ${missing[*]}, and installing needs root: sudo apt-get install ${missing[*]}")
    return 1
  fi
  # The lists may be older than the mirrors' files; and Debian's own images come without any.
  [ -n "${lists_are_fresh:-}" ] || step "package lists" apt-get -q -o DPkg::Lock::Timeout=1200 -o Acquire::Retries=3 update
  lists_are_fresh=1
  for p in "${missing[@]}"; do
    apt-cache show "$p" >/dev/null 2>&1 && continue
    incomplete+=("part $part lacks $p, which no package source of this machine has; on Debian 12 it comes from the suite bookworm-security, which is not among the package sources")
    return 1
  done
  # --no-remove: nothing that somebody installed may go for it.
  step "packages ${missing[*]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=1200 -o Acquire::Retries=3 install \
    --no-install-recommends --no-remove "${missing[@]}"
}
