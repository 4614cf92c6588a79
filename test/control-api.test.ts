import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AAA_API } from '../src/aaa/control-api.js';
import { PAA_API } from '../src/paa/control-api.js';
import { PAC_API } from '../src/pac/control-api.js';
import { PRE_API } from '../src/pre/control-api.js';
import { COMMON_API } from '../src/runtime/service/common-api.js';
import type { ControlCall } from '../src/runtime/service/control.js';
import { type ControlApi, controlDocument, controlRoutes } from '../src/runtime/service/control-api.js';
import { operations } from '../src/store/operations.js';

const APIS: readonly (readonly [string, ControlApi])[] = [
  ['pana-pac', PAC_API],
  ['pana-pre', PRE_API],
  ['pana-paa', PAA_API],
  ['pana-aaa', AAA_API],
];

interface Described {
  readonly requestBody?: {
    readonly content: Record<string, { readonly schema: { readonly anyOf?: readonly object[] } }>;
  };
}
type Paths = Readonly<Record<string, Readonly<Record<string, Described>>>>;

const documentOf = (name: string, api: ControlApi) =>
  controlDocument(name, { ...COMMON_API, ...api }) as { readonly paths: Paths };

describe.each(APIS)('The OpenAPI document of %s', (name, api) => {
  it('is the one in scripts/schema (write it with vitest -u)', async () => {
    const text = `${JSON.stringify(documentOf(name, api), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot(`../scripts/schema/${name}.openapi.json`);
  });

  it('has every request, and docs/control-api.md names each', async () => {
    const routes = Object.entries(documentOf(name, api).paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual(Object.keys({ ...COMMON_API, ...api }).sort());
    const page = await readFile('docs/control-api.md', 'utf8');
    expect(routes.filter((route) => !page.includes(`\`${route}\``))).toEqual([]);
  });
});

it('The document of pana-aaa has a schema for each operation of the store that operators may request', () => {
  const { anyOf = [] } =
    documentOf('pana-aaa', AAA_API).paths['/store']?.['post']?.requestBody?.content['application/json']?.schema ?? {};
  const named = anyOf.map(
    (body) => (body as { properties: { operation: { const: string } } }).properties.operation.const,
  );
  const open = Object.entries(operations).filter(([, { administrative }]) => administrative);
  expect(named.sort()).toEqual(open.map(([operation]) => operation).sort());
});

describe('controlRoutes', () => {
  const routes = controlRoutes(
    {
      'POST /double': {
        summary: '',
        body: z.strictObject({ number: z.number().default(4) }),
        answer: z.number(),
      },
      'GET /level': { summary: '', query: z.object({ level: z.enum(['a', 'b']).default('b') }), answer: z.string() },
    },
    { 'POST /double': ({ body }) => 2 * body.number, 'GET /level': ({ query }) => query.level },
  );
  const call = (route: string, body: unknown, query = '') =>
    routes[route]?.({ query: new URLSearchParams(query), body } satisfies ControlCall);

  it('passes what the schemas make of query and body', () => {
    expect([call('POST /double', { number: 3 }), call('POST /double', undefined)]).toEqual([6, 8]);
    expect([call('GET /level', undefined, 'level=a'), call('GET /level', undefined)]).toEqual(['a', 'b']);
  });

  it.each([
    [{ number: 'x' }, /^number: /],
    [{ number: 1, more: 1 }, /more/],
    ['text', /expected object/],
    [[], /expected object/],
  ])('refuses the body %j with status 400 and names the place', (body, why) => {
    expect(() => call('POST /double', body)).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringMatching(why) }),
    );
  });

  it('refuses a query that the schema does not accept', () => {
    expect(() => call('GET /level', undefined, 'level=c')).toThrow(/^level: /);
  });
});
