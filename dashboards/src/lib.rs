//! Grafana dashboards and Prometheus rules for Tokenward.
