import { isIP } from 'node:net';
import { z } from 'zod';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { STATUS } from '../runtime/service/common-api.js';
import { ASKED, type ControlApi } from '../runtime/service/control-api.js';

const notAddress = ({ input }: { readonly input?: unknown }) => `${String(input)} is not an IP address`;
const notPort = ({ input }: { readonly input?: unknown }) => `${String(input)} is not a port`;
const notSession = ({ input }: { readonly input?: unknown }) =>
  `no session ${String(input)}: "session list" lists the sessions`;

const START = z.strictObject({
  address: z
    .string({ error: notAddress })
    .refine((text) => isIP(text.split('%', 1)[0] ?? '') !== 0, { error: notAddress })
    .describe('IP address of a PaC that waits for the PAA; a link-local one with its interface: fe80::1%eth0'),
  port: z
    .number({ error: notPort })
    .int({ error: notPort })
    .min(1, { error: notPort })
    .max(65_535, { error: notPort })
    .default(PANA_PORT)
    .describe('its UDP port'),
});

const SESSION = z.strictObject({
  session: z
    .string({ error: notSession })
    .regex(/^[0-9a-fA-F]{1,8}$/, { error: notSession })
    .describe('the Session-Id in hexadecimal, as "session list" prints it'),
});

/** The control API of pana-paa. */
export const PAA_API = {
  'GET /status': {
    summary: 'State of the PAA',
    answer: z.looseObject({
      listening: z.array(z.string()),
      sessions: z.number(),
      halfOpen: z.number(),
      preAuthenticated: z.number(),
      enforcementPoint: z.enum(['set up', 'not set up', 'being set up', 'none']),
      dhcpv6Relay: z
        .looseObject({ interface: z.string(), linkAddress: z.string(), servers: z.array(z.string()) })
        .optional()
        .describe('with dhcpv6.relay.servers'),
      ...STATUS,
    }),
  },
  'GET /sessions': {
    summary: 'All sessions',
    answer: z.array(
      z.looseObject({
        session: z.string(),
        address: z.string(),
        port: z.number(),
        relay: z.string().optional(),
        state: z
          .string()
          .describe('the state of the session; PRE_AUTHENTICATED: its client has not come to this network yet'),
        encryption: z.string().describe('the algorithm that encrypts AVPs (RFC 6786), or none'),
        remainingSeconds: z.number().optional(),
        nai: z.string().optional(),
        homeAgent: z.string().optional(),
        homeAddress: z.string().optional(),
        diameterSession: z.string().optional(),
      }),
    ),
  },
  'POST /session/start': {
    summary: 'Start a session with a PaC that waits for the PAA (RFC 5191, section 4.1)',
    body: START,
    answer: z.strictObject({ invited: z.string() }),
  },
  'POST /session/end': { summary: 'Terminate a session', body: SESSION, answer: ASKED },
  'POST /session/reauth': { summary: 'Authenticate the client of a session again', body: SESSION, answer: ASKED },
  'POST /session/ping': { summary: 'Ping the client of a session', body: SESSION, answer: ASKED },
} as const satisfies ControlApi;

export type StartRequest = z.output<typeof START>;
export type SessionRequest = z.output<typeof SESSION>;
