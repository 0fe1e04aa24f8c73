"""A stand-in for the K3s binary, for machines on which the real one cannot be had. It imports nothing of `fleet`.

What runs on a host is one file, made of this package by `archive.py` and served by the mirror. On a host that has
the API server's binary (`paths.API_SERVER`) it is the full one: a real etcd and a real kube-apiserver under the one
unit, with K3s's paths, certificates and kubeconfig. On any other host it is the light one (`light.py`), for tests
that are not about K3s. Both read and check config.yaml alike. README.md of tests/lab says what is real and what is a
guess; in the code, a guess is marked as one.

Facts are from k3s-io/docs (docs/…) and k3s-io/k3s (pkg/…), named where they are used.
"""
