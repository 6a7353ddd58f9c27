// Written by `cargo xtask dashboards`.
{
  grafanaDashboards+:: {
    'tokenward-overview.json': (import 'grafana/dashboards/overview.json'),
    'tokenward-mfa.json': (import 'grafana/dashboards/mfa.json'),
    'tokenward-refresh.json': (import 'grafana/dashboards/refresh.json'),
    'tokenward-gateway.json': (import 'grafana/dashboards/gateway.json'),
    'tokenward-sessions.json': (import 'grafana/dashboards/sessions.json'),
    'tokenward-devices.json': (import 'grafana/dashboards/devices.json'),
  },
  prometheusRules+:: {
    groups+: (import 'prometheus/dist/slo.json').groups,
  },
  prometheusAlerts+:: {
    groups+: (import 'prometheus/dist/mfa.json').groups
      + (import 'prometheus/dist/refresh.json').groups
      + (import 'prometheus/dist/operation.json').groups,
  },
}
