#!/bin/sh
# Makes the mirror of this example: small texts in the place of K3s's binaries, in the layout of a real mirror.
# In real life: https://docs.k3s.io/installation/airgap, or `artifacts: {mirrors: [https://mirror.acme.example/k3s]}`.
set -eu
cd "$(dirname "$0")"
for version in v1.36.3+k3s1 v1.37.1+k3s1; do
  mkdir -p "$version"
  for arch in amd64 arm64 arm; do
    case $arch in amd64) name=k3s ;; arm64) name=k3s-arm64 ;; arm) name=k3s-armhf ;; esac
    printf '#!/bin/sh\n# Stands in for K3s %s (%s) in the example gpu-sites.\necho "k3s version %s (example)"\n' \
      "$version" "$arch" "$version" > "$version/$name"
    (cd "$version" && sha256sum "$name" > "sha256sum-$arch.txt")
  done
done
