// Draws one dashboard with the components that Grafana itself is made of, from a live Prometheus.
//
// Ours are the grid, the variables and the queries; panels, axes, legends, units, thresholds and
// colours are Grafana's. The page tells whoever opened it what could not be drawn.
import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  createTheme, dateTime, EventBusSrv, FieldType, getDisplayProcessor, renderMarkdown,
  type DataFrame, type Field, type TimeRange,
} from '@grafana/data';
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, ThemeContext, TimeSeries,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const { board, prometheus, seconds, report } = (window as any).ASKED;
// Grafana's grid: 24 columns, cells of 30 pixels, gaps of 8.
const [COLUMNS, CELL, GAP, MARGIN] = [24, 30, 8, 16];
const theme = createTheme({ colors: { mode: 'dark' } });
const until = Date.now();
const since = until - seconds * 1000;
const range: TimeRange = {
  from: dateTime(since), to: dateTime(until), raw: { from: dateTime(since), to: dateTime(until) },
};
const troubles: string[] = [];
let drawn = 0;
let empty = 0;

const VARIABLES: Array<[string, string]> = [
  ['$__rate_interval', '10s'], ['$__range', `${seconds}s`], ['$job', '.+'], ['$instance', '.+'],
  ['$audience', '.+'], ['$route', '.+'],
];

async function ask(target: any): Promise<any[]> {
  const expr = VARIABLES.reduce((text, [name, value]) => text.replaceAll(name, value), target.expr);
  const asked = new URLSearchParams({ query: expr });
  let path = 'query';
  if (target.range) {
    path = 'query_range';
    asked.set('start', String(since / 1000));
    asked.set('end', String(until / 1000));
    asked.set('step', String(Math.max(1, Math.round(seconds / 300))));
  } else {
    asked.set('time', String(until / 1000));
  }
  const answer = await fetch(`${prometheus}/api/v1/${path}`, { method: 'POST', body: asked });
  const said = await answer.json();
  if (said.status !== 'success') {
    throw new Error(said.error);
  }
  return said.data.result;
}

function named(target: any, labels: Record<string, string>): string {
  const legend = target.legendFormat ?? '';
  return legend.replace(/{{\s*(\w+)\s*}}/g, (_: string, label: string) => labels[label] ?? '');
}

// The panel's options for a series, and those that overrides give it by its name.
function configured(panel: any, name: string): any {
  const config = structuredClone(panel.fieldConfig?.defaults ?? {});
  config.displayName = name;
  for (const override of panel.fieldConfig?.overrides ?? []) {
    if (override.matcher.id === 'byName' && override.matcher.options === name) {
      for (const { id, value } of override.properties) {
        config[id] = value;
      }
    }
  }
  return config;
}

function field(panel: any, name: string, values: Array<number | null>, index: number): Field {
  const made: Field = {
    name, type: FieldType.number, values, config: configured(panel, name),
    state: { seriesIndex: index, displayName: name },
  };
  made.display = getDisplayProcessor({ field: made, theme, timeZone: 'utc' });
  return made;
}

// Prometheus leaves out the moments without a value; where that, or no number, comes, Grafana draws
// a gap.
function series(panel: any, target: any, result: any[], from: number): DataFrame[] {
  return result.map(({ metric, values }, index) => {
    const times = values.map(([at]: [number, string]) => at * 1000);
    const numbers = values.map(([, value]: [number, string]) =>
      Number.isFinite(Number(value)) ? Number(value) : null);
    return {
      length: times.length,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        field(panel, named(target, metric), numbers, from + index),
      ],
    };
  });
}

function rows(panel: any, result: any[]): DataFrame {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))];
  const texts: Field[] = labels.map((name) => {
    const made: Field = {
      name, type: FieldType.string, config: {},
      values: result.map(({ metric }) => metric[name] ?? ''),
    };
    made.display = getDisplayProcessor({ field: made, theme });
    return made;
  });
  const numbers = field(panel, 'Value', result.map(({ value }) => Number(value[1])), 0);
  return { length: result.length, fields: [...texts, numbers] };
}

interface Inside { panel: any; results: any[][]; width: number; height: number }

function Inner({ panel, results, width, height }: Inside) {
  if (panel.type === 'text') {
    const html = { __html: renderMarkdown(panel.options.content) };
    return <div className="markdown-html" dangerouslySetInnerHTML={html} />;
  }
  if (panel.type === 'timeseries') {
    let count = 0;
    const frames = panel.targets.flatMap((target: any, at: number) => {
      const made = series(panel, target, results[at], count);
      count += made.length;
      return made;
    });
    const { legend } = panel.options;
    return (
      <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc"
        legend={{ ...legend, displayMode: 'list', calcs: [] }} options={{}} />
    );
  }
  if (panel.type === 'table') {
    return (
      <TableNG data={rows(panel, results.flat())} width={width} height={height}
        structureRev={1} />
    );
  }
  const values = results.flatMap((result, at) =>
    result.map(({ metric, value }: any) => {
      const name = named(panel.targets[at], metric);
      const of = field(panel, name, [Number(value[1])], 0);
      return { of, shown: { ...of.display!(Number(value[1])), title: name } };
    }));
  if (panel.type === 'stat') {
    const { colorMode, graphMode, justifyMode, textMode } = panel.options;
    return (
      <BigValue value={values[0].shown} width={width} height={height} theme={theme}
        colorMode={colorMode} graphMode={graphMode} justifyMode={justifyMode} textMode={textMode} />
    );
  }
  const each = Math.min(40, height / values.length);
  return (
    <>
      {values.map(({ of, shown }, at) => (
        <BarGauge key={at} value={shown} field={of.config} display={of.display} width={width}
          height={each} theme={theme} displayMode={panel.options.displayMode}
          orientation={panel.options.orientation} showUnfilled itemSpacing={4} />
      ))}
    </>
  );
}

class Guarded extends React.Component<React.PropsWithChildren<{ title: string }>> {
  state = { broken: false };
  static getDerivedStateFromError() {
    return { broken: true };
  }
  componentDidCatch(error: Error) {
    troubles.push(`${this.props.title}: ${error.message}`);
  }
  render() {
    return this.state.broken ? null : this.props.children;
  }
}

function Placed({ panel, results }: { panel: any; results: any[][] }) {
  const unit = (window.innerWidth - 2 * MARGIN + GAP) / COLUMNS;
  const { x, y, w, h } = panel.gridPos;
  const [width, height] = [w * unit - GAP, h * (CELL + GAP) - GAP];
  const place = { position: 'absolute', left: MARGIN + x * unit, top: y * (CELL + GAP) } as const;
  if (panel.type === 'row') {
    return <h6 style={{ ...place, margin: 0, lineHeight: `${CELL}px` }}>{panel.title}</h6>;
  }
  const nothing = panel.type !== 'text' && results.flat().length === 0;
  return (
    <div style={{ ...place, width, height }}>
      <Guarded title={panel.title}>
        <PanelChrome title={panel.title} description={panel.description} width={width}
          height={height}>
          {(innerWidth: number, innerHeight: number) => nothing
            ? <div style={{ textAlign: 'center', paddingTop: innerHeight / 3 }}>No data</div>
            : <Inner panel={panel} results={results} width={innerWidth} height={innerHeight} />}
        </PanelChrome>
      </Guarded>
    </div>
  );
}

async function results(panel: any): Promise<any[][]> {
  const told = await Promise.all((panel.targets ?? []).map(async (target: any) => {
    try {
      return await ask(target);
    } catch (error) {
      troubles.push(`${panel.title}: ${error}`);
      return [];
    }
  }));
  drawn += panel.type === 'row' ? 0 : 1;
  empty += panel.targets && told.flat().length === 0 ? 1 : 0;
  return told;
}

async function draw() {
  await document.fonts.ready;
  const panels = await Promise.all(board.panels.map(async (panel: any) =>
    ({ panel, results: await results(panel) })));
  const context: any = { eventsScope: 'page', eventBus: new EventBusSrv(), app: 'dashboard' };
  createRoot(document.getElementById('page')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <h4 style={{ margin: 0, padding: '12px 16px' }}>{board.title}</h4>
        <div style={{ position: 'relative' }}>
          {panels.map(({ panel, results }) =>
            <Placed key={panel.id} panel={panel} results={results} />)}
        </div>
      </PanelContextProvider>
    </ThemeContext.Provider>,
  );
  // Two frames later everything that draws on a canvas has drawn.
  await new Promise((later) => requestAnimationFrame(() => requestAnimationFrame(later)));
}

window.addEventListener('error', ({ message }) => troubles.push(message));
draw()
  .catch((error) => troubles.push(String(error)))
  .then(() => {
    const told = { title: board.title, drawn, empty, troubles };
    document.title = JSON.stringify(told);
    // Whoever listens needs no answer to be read.
    return report && fetch(report, { method: 'POST', mode: 'no-cors', body: JSON.stringify(told) });
  });
