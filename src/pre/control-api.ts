import { z } from 'zod';
import { STATUS } from '../runtime/service/common-api.js';
import type { ControlApi } from '../runtime/service/control-api.js';

/** The control API of pana-pre. */
export const PRE_API = {
  'GET /status': {
    summary: 'State of the relay',
    answer: z.looseObject({
      listening: z.array(z.string()),
      paa: z.string().describe('address and port of the PAA'),
      source: z.string().describe('local address and port towards it'),
      lastFromPaaSeconds: z.number().optional().describe('since the last datagram of the PAA; absent: none came'),
      ...STATUS,
    }),
  },
} as const satisfies ControlApi;
