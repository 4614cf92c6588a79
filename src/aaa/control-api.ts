import { z } from 'zod';
import { STATUS } from '../runtime/service/common-api.js';
import type { ControlApi } from '../runtime/service/control-api.js';
import { operations } from '../store/operations.js';

/** Maximum size of the name of an operator, operation or store, in octets. */
const MAX_NAME = 1_024;

const name = () =>
  z
    .string()
    .max(MAX_NAME)
    .refine((value) => !value.includes('\0'), 'a name must not contain NUL');

const FRAME = {
  arguments: z.unknown(),
  who: name().optional().describe('the operator, for the audit trail; the server cannot verify it'),
  store: name().optional().describe('refuse the request unless this is the store of the server'),
};

/** The body of a store operation. The store checks the operation and its arguments. */
const STORE = z.strictObject({ operation: name(), ...FRAME });

/** One schema for each operation that operators may request. */
function storeOperations(): z.ZodType {
  const bodies = Object.entries(operations).flatMap(([operation, { administrative, input }]) =>
    administrative && input
      ? [z.strictObject({ operation: z.literal(operation), ...FRAME, arguments: input(z) as z.ZodType })]
      : [],
  );
  return z.union(bodies);
}

const notNamed = 'name a session: a Session-Id, or the NAI of a subscriber';

const SESSIONS = z.strictObject({
  of: z.string({ error: notNamed }).min(1, { error: notNamed }).describe('a Session-Id, or the NAI of a subscriber'),
  who: FRAME.who,
});

const OUTCOMES = z.array(
  z.strictObject({
    session: z.string(),
    paa: z.string(),
    result: z.string().describe('the Result-Code by its name, or why there is none'),
  }),
);

/** The control API of pana-aaa. */
export const AAA_API = {
  'GET /status': {
    summary: 'State of the server',
    answer: z.looseObject({
      listening: z.array(z.string()),
      store: z.string().describe('its place, and whether it is available'),
      conversations: z.number(),
      radiusClients: z
        .array(
          z.looseObject({
            name: z.string(),
            from: z.string().describe('its networks, and the name in its certificate'),
            accepted: z.number(),
            rejected: z.number(),
            discarded: z.number(),
            lastAnswer: z.string().optional(),
            problem: z
              .string()
              .optional()
              .describe('why a packet with its address was discarded since the last answer'),
          }),
        )
        .optional()
        .describe('with radius.listen'),
      ...STATUS,
    }),
  },
  'POST /store': {
    summary: 'Run an operation on the store: subscribers, home agents, leases, sessions, audit trail',
    body: STORE,
    wholeBody: storeOperations,
    answer: z.unknown().describe('the result of the operation, as the commands print it with --json'),
  },
  'POST /session/disconnect': {
    summary: 'Terminate sessions: send ASR to their PAAs',
    body: SESSIONS,
    answer: OUTCOMES,
  },
  'POST /session/reauth': {
    summary: 'Have clients authenticated again: send RAR to their PAAs',
    body: SESSIONS,
    answer: OUTCOMES,
  },
} as const satisfies ControlApi;

export type StoreRequest = z.output<typeof STORE>;
export type SessionsRequest = z.output<typeof SESSIONS>;
