"""Certificates of the cluster: who may be whom, and until when.

`layout` says which certificates exist, `ca` makes and signs them, `issue` brings a directory to
that layout, `renew` tells when they end and replaces them, `kubeconfig` wraps them for clients.
Private keys go to files of mode 0600 and nowhere else: never into logs, errors or arguments.
"""
