# shellcheck shell=bash
# Certificates and kubeconfigs of a cluster, in STATE/pki; kept from one start to the next as long as the index stays.

pki_certificate() { # name subject alternative-names
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") 2>/dev/null
  rm "$1.csr"
}

pki_kubeconfig() { # file certificate
  cat >"$1" <<Y
apiVersion: v1
kind: Config
clusters: [{name: fleetscope-$CLUSTER, cluster: {server: "https://$(node_ip 1):6443", certificate-authority-data: $(base64 -w0 <ca.crt)}}]
users: [{name: $2, user: {client-certificate-data: $(base64 -w0 <"$2.crt"), client-key-data: $(base64 -w0 <"$2.key")}}]
contexts: [{name: fleetscope-$CLUSTER, context: {cluster: fleetscope-$CLUSTER, user: $2}}]
current-context: fleetscope-$CLUSTER
Y
}

pki() {
  [ ! -f "$STATE/pki/done.$N" ] || return 0
  (
    umask 077
    mkdir -p "$STATE/pki"
    cd "$STATE/pki" || exit 1
    rm -f ./*
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=fleetscope-test-ca 2>/dev/null
    openssl genrsa -out sa.key 2048 2>/dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
    pki_certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$API_IP,IP:$(node_ip 1)"
    for k in 1 2 3 4; do
      pki_certificate "kubelet-$k" "/O=system:nodes/CN=system:node:node-$k" "DNS:node-$k,IP:127.0.0.1,IP:$(node_ip $k)"
      pki_kubeconfig "kubelet-$k.conf" "kubelet-$k"
    done
    pki_certificate admin /O=system:masters/CN=admin DNS:admin
    pki_certificate controller-manager /CN=system:kube-controller-manager DNS:controller-manager
    pki_certificate scheduler /CN=system:kube-scheduler DNS:scheduler
    pki_certificate proxy /CN=system:kube-proxy DNS:proxy
    pki_certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet DNS:apiserver
    pki_certificate front-proxy /CN=front-proxy DNS:front-proxy
    for u in controller-manager scheduler proxy; do pki_kubeconfig $u.conf $u; done
    pki_kubeconfig "$STATE/kubeconfig" admin
    touch "done.$N"
  )
}
