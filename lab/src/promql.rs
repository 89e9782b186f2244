//! Asks Prometheus.
