// Mistakes that must be found: where one is not, its line has no error, which is one.
import type { Board } from './schema';

type Named<K> = Extract<Board['panels'][number], { type: K }>;

export const name: Named<'stat'>['options'] = {
  // @ts-expect-error Grafana knows no such name.
  grahpMode: 'none',
};

export const value: Named<'stat'>['options'] = {
  // @ts-expect-error It is spelt "background".
  colorMode: 'backgruond',
};

export const drawn: Named<'timeseries'>['fieldConfig'] = {
  overrides: [],
  defaults: {
    thresholds: { mode: 'absolute', steps: [] },
    // @ts-expect-error It is a number.
    custom: { lineWidth: 'thick' },
  },
};

export const place: Named<'text'> = {
  id: 1,
  type: 'text',
  options: { content: '', mode: 'markdown' },
  // @ts-expect-error A place has numbers.
  gridPos: { h: '8', w: 12, x: 0, y: 0 },
};

// @ts-expect-error A dashboard has a title.
export const untitled: Board = {
  uid: 'a', annotations: { list: [] }, templating: { list: [] }, links: [], panels: [],
};
