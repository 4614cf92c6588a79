import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode } from '../../src/errors/codes.js';
import { DecodeError } from '../../src/protocol/bytes/decode-error.js';
import { ControlError } from '../../src/runtime/service/control.js';
import { asStartError, explainFailure, OperatorError, StartError } from '../../src/runtime/system/failure.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreError } from '../../src/store/records.js';
import { StoreFault } from '../../src/store/store-fault.js';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

/** Codes of Node and of OpenSSL that the sources name. */
const OTHERS = /^ERR_(SSL_|SOCKET_|INVALID_|HTTP|TLS_|STREAM_|OSSL_|IPC_|WORKER_)|^ERR_(SSL)?$/;

let sources: ReadonlyMap<string, string>;

beforeAll(async () => {
  const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
  sources = new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(SRC, file), 'utf8')] as const)),
  );
});

/** Each class of errors in the sources, and what it extends. */
function errorClasses(): Map<string, string> {
  const found = [...sources.values()].flatMap((text) => [
    ...text.matchAll(/class (\w+) extends (\w*Error|CodedError<[^{]*>) \{/g),
  ]);
  return new Map(found.map(([, name = '', base = '']) => [name, base.replace(/<.*/, '')]));
}

describe('the table of error codes', () => {
  it('has each code once', () => {
    const text = sources.get(join('errors', 'codes.ts')) ?? '';
    const rows = [...text.matchAll(/^ {2}'?([\w-]+)'?: \{ of:/gm)].map(([, code]) => code);
    expect(rows).toEqual([...new Set(rows)]);
    expect(rows.sort()).toEqual([...CODES].sort());
  });

  it('has every code that the sources name, and no code that they do not', () => {
    const rest = [...sources].filter(([file]) => file !== join('errors', 'codes.ts')).map(([, text]) => text);
    const named = new Set(rest.flatMap((text) => [...text.matchAll(/'(ERR_\w+)'/g)].map(([, code = '']) => code)));
    const known = new Set<string>(CODES);
    expect([...named].filter((code) => !OTHERS.test(code) && !known.has(code))).toEqual([]);
    expect(CODES.filter((code) => !rest.some((text) => text.includes(`'${code}'`)))).toEqual([]);
  });

  it('has rows of classes that exist, and every class of errors has a row or extends one that has', () => {
    const classes = errorClasses();
    const owners = new Set<string>(Object.values(ERROR_CODES).map(({ of }) => of));
    expect([...owners].filter((name) => classes.get(name) !== 'CodedError')).toEqual([]);
    const strange = [...classes].filter(
      ([name, base]) => name !== 'CodedError' && !owners.has(name) && !owners.has(base),
    );
    expect(strange).toEqual([]);
  });
});

describe('an error', () => {
  it.each([
    [new OperatorError('put it right'), true],
    [new StartError('later'), true],
    [new ControlError('refused'), true],
    [new StoreError('ERR_STORE_VALUE', 'wrong'), true],
    [new DatabaseError('ERR_STORE_DOWN', 'gone'), true],
    [new StoreFault('x is not a function', ''), false],
    [new DecodeError('truncated', 4, 'an AVP'), false],
    [new TypeError('x is not a function'), false],
  ])('is told to people only if it is meant for them: %s', (error, told) => {
    expect(explainFailure(error)).toBe(told ? error.message : undefined);
  });

  it.each<ConstructorParameters<typeof DatabaseError>[0]>(['ERR_STORE_NEWER', 'ERR_STORE_REFUSED'])(
    'of a start stays what it is where an operator has to put something right: %s',
    (code) => {
      const error = new DatabaseError(code, 'why');
      expect(asStartError(error)).toBe(error);
    },
  );

  it.each<ConstructorParameters<typeof DatabaseError>[0]>([
    'ERR_STORE_OPEN',
    'ERR_STORE_LOCKED',
    'ERR_STORE_DOWN',
    'ERR_STORE_FULL',
  ])('of a start says that it may work later: %s', (code) => {
    expect(asStartError(new DatabaseError(code, 'why'))).toMatchObject({ name: 'StartError', message: 'why' });
  });
});
