import { z } from 'zod';
import { LEVELS } from '../log/feed.js';
import type { ControlApi } from './control-api.js';

const names = Object.keys(LEVELS) as (keyof typeof LEVELS)[];

/** The requests about events. */
export const EVENT_API = {
  'GET /events': {
    summary: 'Events as they happen, one JSON object a line, as in the log in JSON; the answer ends with the daemon',
    query: z.object({
      level: z
        .enum(names, { error: ({ input }) => `${String(input)} is none of ${names.join(', ')}` })
        .default('info')
        .describe('events of this and higher levels, whatever log.level is'),
      of: z
        .string()
        .optional()
        .describe('only events of this session, subscriber, address, home agent or Diameter peer'),
    }),
    answer: 'application/x-ndjson',
  },
} as const satisfies ControlApi;

/** The requests that every daemon answers. */
export const COMMON_API = {
  'GET /healthz': { summary: '"ok" if the daemon serves; also on control.metrics', answer: 'text/plain' },
  'GET /metrics': {
    summary: 'Metrics in the text format of Prometheus; also on control.metrics',
    answer: 'text/plain',
  },
  ...EVENT_API,
} as const satisfies ControlApi;

/** What every daemon says in its answer of `GET /status`. */
export const STATUS = {
  version: z.string(),
  pid: z.number(),
  uptimeSeconds: z.number(),
  configuration: z.string().optional().describe('the configuration file'),
  certificates: z.record(z.string(), z.string()).describe('until when they are valid, by configuration key'),
  counters: z.record(z.string(), z.number()).describe('as `name{label=value}`'),
} as const;
