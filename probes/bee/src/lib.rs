//! bee builds eBPF probes, stores them as OCI images and runs them; their maps become logs and Prometheus metrics.

pub mod build;
