# Both images of Fleetscope. `make images` builds the static binaries, puts them alone into the build context, and calls
# buildah, podman or docker with this file; by hand: docker build --target operator CONTEXT_WITH_THE_BINARIES.
# From scratch: no shell, no library, no package that could need an update. The programs are linked statically, and
# speak to the API server with the certificate authority of the pod's service account.

FROM scratch AS operator
COPY fleetscope-operator /fleetscope-operator
USER 65532:65532
EXPOSE 10981
ENTRYPOINT ["/fleetscope-operator"]
CMD ["run"]

# User 0, as only for it do the container's capabilities (BPF, PERFMON, nothing else) become effective:
# runtimes set no ambient ones.
FROM scratch AS node-agent
COPY fleetscope-node-agent /fleetscope-node-agent
USER 0:0
EXPOSE 10980
ENTRYPOINT ["/fleetscope-node-agent"]
