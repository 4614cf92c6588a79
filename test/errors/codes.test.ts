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

/** Codes of Node and OpenSSL that the sources use. */
const OTHERS = /^ERR_(SSL_|SOCKET_|INVALID_|HTTP|TLS_|STREAM_|OSSL_|IPC_|WORKER_)|^ERR_(SSL)?$/;

let sources: ReadonlyMap<string, string>;

beforeAll(async () => {
  const files = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
  sources = new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(SRC, file), 'utf8')] as const)),
  );
});

/** Each error class of the sources and the class that it extends. */
function errorClasses(): Map<string, string> {
  const found = [...sources.values()].flatMap((text) => [
    ...text.matchAll(/class (\w+) extends (\w*Error|CodedError<[^{]*>) \{/g),
  ]);
  return new Map(found.map(([, name = '', base = '']) => [name, base.replace(/<.*/, '')]));
}

describe('The table of error codes', () => {
  it('contains each code once', () => {
    const text = sources.get(join('errors', 'codes.ts')) ?? '';
    const rows = [...text.matchAll(/^ {2}'?([\w-]+)'?: \{ of:/gm)].map(([, code]) => code);
    expect(rows).toEqual([...new Set(rows)]);
    expect(rows.sort()).toEqual([...CODES].sort());
  });

  it('contains exactly the codes that the sources use', () => {
    const rest = [...sources].filter(([file]) => file !== join('errors', 'codes.ts')).map(([, text]) => text);
    const named = new Set(rest.flatMap((text) => [...text.matchAll(/'(ERR_\w+)'/g)].map(([, code = '']) => code)));
    const known = new Set<string>(CODES);
    expect([...named].filter((code) => !OTHERS.test(code) && !known.has(code))).toEqual([]);
    expect(CODES.filter((code) => !rest.some((text) => text.includes(`'${code}'`)))).toEqual([]);
  });

  it('names existing classes, and every error class has a row or extends a class that has one', () => {
    const classes = errorClasses();
    const owners = new Set<string>(Object.values(ERROR_CODES).map(({ of }) => of));
    expect([...owners].filter((name) => classes.get(name) !== 'CodedError')).toEqual([]);
    const strange = [...classes].filter(
      ([name, base]) => name !== 'CodedError' && !owners.has(name) && !owners.has(base),
    );
    expect(strange).toEqual([]);
  });
});

describe('explainFailure and asStartError', () => {
  it.each([
    [new OperatorError('put it right'), true],
    [new StartError('later'), true],
    [new ControlError('refused'), true],
    [new StoreError('ERR_STORE_VALUE', 'wrong'), true],
    [new DatabaseError('ERR_STORE_DOWN', 'gone'), true],
    [new StoreFault('x is not a function', ''), false],
    [new DecodeError('truncated', 4, 'an AVP'), false],
    [new TypeError('x is not a function'), false],
  ])('shows a message to the user only for errors meant for users: %s', (error, told) => {
    expect(explainFailure(error)).toBe(told ? error.message : undefined);
  });

  it.each([
    [{ code: 'EINVAL', syscall: 'bind', address: 'fe80::1', port: 716 }, /^fe80::1 port 716: a link-local address /],
    [{ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'nowhere.example' }, /^nowhere\.example: no such host /],
  ])('turns an address that the system refuses into a StartError: %j', (fields, text) => {
    const failed = asStartError(Object.assign(new Error('failed'), fields));
    expect(failed).toBeInstanceOf(StartError);
    expect((failed as Error).message).toMatch(text);
  });

  it('treats EINVAL of another call as a fault', () => {
    expect(explainFailure(Object.assign(new Error('failed'), { code: 'EINVAL', syscall: 'read' }))).toBeUndefined();
  });

  it.each<ConstructorParameters<typeof DatabaseError>[0]>(['ERR_STORE_NEWER', 'ERR_STORE_REFUSED'])(
    'keeps an error at start that an operator must fix: %s',
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
  ])('turns an error at start that may pass into a StartError: %s', (code) => {
    expect(asStartError(new DatabaseError(code, 'why'))).toMatchObject({ name: 'StartError', message: 'why' });
  });
});
