import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { SqliteBackend } from '../../src/store/database.js';
import type { Db } from '../../src/store/rows.js';
import { Statement } from '../../src/store/statement.js';

interface Entry {
  readonly key: string;
  readonly value: string;
}

let backend: SqliteBackend;

beforeEach(async () => {
  backend = await SqliteBackend.open(':memory:');
});

afterEach(() => backend.close());

/** Runs work in a transaction of its own. */
async function transaction<T>(work: (db: Db) => Promise<T>, on = backend): Promise<T> {
  return (await on.read(work)) as T;
}

const insert = new Statement((on, { key, value }: Entry) =>
  on
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value })),
);

const after = new Statement((on, { key }: { readonly key: string }) =>
  on.selectFrom('meta').select(['key', 'value']).where('key', '>', key).where('key', '<>', 'secret').orderBy('key'),
);

const remove = new Statement((on, { value }: { readonly value: string }) =>
  on.deleteFrom('meta').where('value', '=', value),
);

describe('A statement', () => {
  it('is run with the values of each call', async () => {
    await transaction(async (db) => {
      for (const key of ['a', 'b', 'c']) await insert.change(db, { key, value: `of ${key}` });
      await insert.change(db, { key: 'c', value: 'changed' });
      expect(await after.rows(db, { key: 'a' })).toEqual([
        { key: 'b', value: 'of b' },
        { key: 'c', value: 'changed' },
      ]);
      expect(await after.first(db, { key: 'b' })).toEqual({ key: 'c', value: 'changed' });
      expect(await after.first(db, { key: 'z' })).toBeUndefined();
    });
  });

  it('counts the rows that it changes', async () => {
    await transaction(async (db) => {
      for (const key of ['a', 'b']) await insert.change(db, { key, value: 'same' });
      expect(await remove.change(db, { value: 'same' })).toBe(2);
      expect(await remove.change(db, { value: 'same' })).toBe(0);
    });
  });

  it('is built once for all transactions of a database', async () => {
    let built = 0;
    const counted = new Statement((on, { key }: { readonly key: string }) => {
      built += 1;
      return on.selectFrom('meta').select('value').where('key', '=', key);
    });
    for (const key of ['a', 'b']) await transaction((db) => counted.first(db, { key }));
    expect(built).toBe(1);
    const other = await SqliteBackend.open(':memory:');
    await transaction((db) => counted.first(db, { key: 'a' }), other);
    await other.close();
    expect(built).toBe(2);
  });

  it('is prepared once for all transactions of a database', async () => {
    const prepare = vi.spyOn(Database.prototype, 'prepare');
    onTestFinished(() => prepare.mockRestore());
    const prepared = () => prepare.mock.calls.filter(([text]) => text.includes('"meta"')).length;
    for (const key of ['a', 'b']) await transaction((db) => after.rows(db, { key }));
    expect(prepared()).toBe(1);
  });

  it('runs without the layers of the query builder, in the transaction that is open', async () => {
    await transaction(async (db) => {
      const built = vi.spyOn(db, 'executeQuery');
      await insert.change(db, { key: 'a', value: 'one' });
      expect(await after.rows(db, { key: '0' })).toEqual([{ key: 'a', value: 'one' }]);
      expect(built).not.toHaveBeenCalled();
    });
    const failed = backend.commit([(db) => insert.change(db, { key: 'b', value: null as never })]);
    await expect(failed).resolves.toMatchObject([{ status: 'rejected' }]);
    expect(await transaction((db) => after.rows(db, { key: 'a' }))).toEqual([]);
  });

  it('cannot be built from a value that is known only when it runs', async () => {
    const computed = new Statement((on, { at }: { readonly at: number }) =>
      on
        .selectFrom('leases')
        .select('hoa')
        .where('expires_at', '>', at + 1),
    );
    await expect(transaction(async (db) => computed.rows(db, { at: 1 }))).rejects.toThrow(
      'the value at of a statement is not known',
    );
  });
});
