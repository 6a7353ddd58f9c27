// What a dashboard may hold, by the types that Grafana publishes. A committed dashboard is written
// out as a literal of this type: TypeScript then refuses names that Grafana does not know, values
// that it does not take, and what it wants and is not there.
import type {
  AnnotationQuery, Dashboard, DashboardLink, FieldConfig, FieldConfigSource, GraphFieldConfig, Panel,
  RowPanel, VariableModel,
} from '@grafana/schema';
import type { Options as Bars } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as Text } from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type { Options as Lines } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// In JSON an enum is its text or number; what has a default may be left out.
type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]?: Written<T[K]> } : T;

type Fields<C> = Omit<Written<FieldConfigSource>, 'defaults'> & {
  defaults: Omit<Written<FieldConfig>, 'custom' | 'thresholds'> & {
    custom?: Written<C>;
    // The first step has no bound, which is null in JSON.
    thresholds: { mode: 'absolute'; steps: Array<{ color: string; value: number | null }> };
  };
};

type Drawn<K, O, C = never> = Omit<Written<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  id: number;
  type: K;
  options: Written<O>;
  fieldConfig?: Fields<C>;
  // The data source's own, of which no types are published here.
  targets?: Array<Record<string, unknown>>;
};

// The data source of an annotation takes these, too.
type Mark = Omit<Written<AnnotationQuery>, 'target'> & {
  expr: string;
  step: string;
  textFormat: string;
  titleFormat: string;
};

export type Board = Omit<Written<Dashboard>, 'panels' | 'annotations' | 'templating' | 'links'> & {
  uid: string;
  title: string;
  annotations: { list: Mark[] };
  templating: { list: Array<Omit<Written<VariableModel>, 'query'> & { query: unknown }> };
  links: Array<Written<DashboardLink>>;
  panels: Array<
    | (Written<RowPanel> & { type: 'row' })
    | Drawn<'stat', Stat>
    | Drawn<'timeseries', Lines, GraphFieldConfig>
    | Drawn<'bargauge', Bars>
    | Drawn<'table', Table>
    | Drawn<'text', Text>
  >;
};
