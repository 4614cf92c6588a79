import { z } from 'zod';
import { ControlError, type ControlRoutes } from './control.js';

/** A request of the control API: what it takes, which is checked, and what it answers. */
export interface ControlOperation {
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** For the document, if `body` leaves a part of the check to the code behind it. */
  readonly wholeBody?: () => z.ZodType;
  /** The JSON of the answer, or the type of a text. */
  readonly answer: z.ZodType | 'text/plain' | 'application/x-ndjson';
}

/** Requests by method and path, such as `POST /session/end`. */
export type ControlApi = Readonly<Record<string, ControlOperation>>;

type Output<S> = S extends z.ZodType ? z.output<S> : undefined;

type Handlers<A extends ControlApi> = {
  readonly [R in keyof A]: (call: {
    readonly query: Output<A[R]['query']>;
    readonly body: Output<A[R]['body']>;
  }) => unknown;
};

/** The routes of an API: each checks its query and its body before the handler gets them. */
export function controlRoutes<A extends ControlApi>(api: A, handlers: Handlers<A>): ControlRoutes {
  const routes = Object.entries(api).map(([route, { query, body }]) => {
    const handler = handlers[route] as (call: { query: unknown; body: unknown }) => unknown;
    const checked: ControlRoutes[string] = (call) =>
      handler({
        query: query && accepted(query, Object.fromEntries(call.query)),
        body: body && accepted(body, call.body ?? {}),
      });
    return [route, checked] as const;
  });
  return Object.fromEntries(routes);
}

/** Throws ControlError if the schema does not accept the value. */
function accepted(schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? `the body: ${message}` : `${path.join('.')}: ${message}`,
  );
  throw new ControlError(problems.join('; '));
}

/** A request that was passed on; its result shows in the log and in the events. */
export const ASKED = z.strictObject({ asked: z.string() });

/** What a refused request gets, with a status of 400 or more. */
const ERROR = z.strictObject({ error: z.string().describe('what is wrong, in words') });

/** The OpenAPI 3.1 document of a daemon's control API. `name`: `pana-aaa`. */
export function controlDocument(name: string, api: ControlApi): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [route, operation] of Object.entries(api)) {
    const [method = '', path = ''] = route.split(' ');
    paths[path] = { ...paths[path], [method.toLowerCase()]: described(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Control API of ${name}`,
      version: '1',
      description: `HTTP on the UNIX socket that control.socket names.`,
    },
    servers: [{ url: 'http://localhost', description: 'the UNIX socket; the host name has no meaning' }],
    paths,
    components: { schemas: { Error: jsonSchema(ERROR, 'output') } },
  };
}

function described({ summary, query, body, wholeBody, answer }: ControlOperation): object {
  const parameters = Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = jsonSchema(schema as z.ZodType, 'input');
    return { name, in: 'query', required: false, description, schema: rest };
  });
  const content = typeof answer === 'string' ? { [answer]: {} } : json(answer, 'output');
  const error = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
  return {
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: json(wholeBody?.() ?? body, 'input') } } : {}),
    responses: {
      200: { description: 'the answer', content },
      default: { description: 'the request was refused', content: error },
    },
  };
}

function json(schema: z.ZodType, io: 'input' | 'output') {
  return { 'application/json': { schema: jsonSchema(schema, io) } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
