import { z } from 'zod';
import * as section from '../runtime/config/sections.js';
import { STATUS } from '../runtime/service/common-api.js';
import { ASKED, type ControlApi } from '../runtime/service/control-api.js';

const PREAUTH = z.strictObject({
  paa: section.address().describe('address of a PAA to which the node may move'),
});

/** The control API of pana-pac. */
export const PAC_API = {
  'GET /status': {
    summary: 'State of the node',
    answer: z.looseObject({
      state: z.string().describe('the state of the session, or waiting, or stopping'),
      paa: z.string().optional(),
      session: z.string().optional(),
      careOfAddress: z.string().optional(),
      encryption: z
        .string()
        .optional()
        .describe('the algorithm that encrypts AVPs (RFC 6786), or none; absent before the session is authorized'),
      remainingSeconds: z.number().optional().describe('until the session ends without another authentication'),
      lastFailure: z
        .looseObject({ reason: z.string(), detail: z.string().optional() })
        .optional()
        .describe('why the last authentication failed in EAP, until one succeeds'),
      candidates: z
        .array(z.looseObject({ paa: z.string(), state: z.string(), session: z.string().optional() }))
        .describe('PAAs to which the node may move; PRE_AUTHENTICATED: it is authenticated there'),
      binding: z.looseObject({}).optional().describe('home agent and home address'),
      services: z.array(z.looseObject({})).optional().describe('Mobile IPv4 and HIP; with mobility.services'),
      ...STATUS,
    }),
  },
  'POST /reauth': { summary: 'Authenticate again now', answer: ASKED },
  'POST /ping': { summary: 'Ping the PAA', answer: ASKED },
  'POST /preauth': {
    summary: 'Authenticate to a PAA to which the node may move (RFC 5873)',
    body: PREAUTH,
    answer: ASKED,
  },
  'POST /move': {
    summary: 'Move the session to the current address and another port',
    answer: z.looseObject({}),
  },
} as const satisfies ControlApi;

export type PreauthRequest = z.output<typeof PREAUTH>;
