"""Import of nginx.conf, plain or as ingress-nginx writes it."""
