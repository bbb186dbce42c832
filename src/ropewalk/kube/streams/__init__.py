"""exec, attach, port-forward, logs and proxy: clients' protocols end here, and go on to agents as neutral streams."""
