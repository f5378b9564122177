"""Paths that load balancers and monitors ask, below the root path. They reveal no images and change nothing."""

HEALTH_PATHS = ("/livez", "/readyz")  # answered for every host name
PROBE_PATHS = (*HEALTH_PATHS, "/metrics")  # answered without a key, in a shutdown, and past the cap of connections
