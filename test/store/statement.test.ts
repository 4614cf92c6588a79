import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openSqlite } from '../../src/store/database.js';
import type { Db } from '../../src/store/rows.js';
import { Statement } from '../../src/store/statement.js';

interface Entry {
  readonly key: string;
  readonly value: string;
}

let db: Db;

beforeEach(async () => {
  db = await openSqlite(':memory:');
});

afterEach(() => db.destroy());

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
    for (const key of ['a', 'b', 'c']) await insert.change(db, { key, value: `of ${key}` });
    await insert.change(db, { key: 'c', value: 'changed' });
    expect(await after.rows(db, { key: 'a' })).toEqual([
      { key: 'b', value: 'of b' },
      { key: 'c', value: 'changed' },
    ]);
    expect(await after.first(db, { key: 'b' })).toEqual({ key: 'c', value: 'changed' });
    expect(await after.first(db, { key: 'z' })).toBeUndefined();
  });

  it('counts the rows that it changes', async () => {
    for (const key of ['a', 'b']) await insert.change(db, { key, value: 'same' });
    expect(await remove.change(db, { value: 'same' })).toBe(2);
    expect(await remove.change(db, { value: 'same' })).toBe(0);
  });

  it('is built once for a database and its transactions', async () => {
    let built = 0;
    const counted = new Statement((on, { key }: { readonly key: string }) => {
      built += 1;
      return on.selectFrom('meta').select('value').where('key', '=', key);
    });
    await counted.first(db, { key: 'a' });
    await db.connection().execute((connection) => counted.first(connection, { key: 'b' }));
    expect(built).toBe(1);
    const other = await openSqlite(':memory:');
    await counted.first(other, { key: 'a' });
    await other.destroy();
    expect(built).toBe(2);
  });

  it('is prepared once for a database and its transactions', async () => {
    const prepare = vi.spyOn(Database.prototype, 'prepare');
    onTestFinished(() => prepare.mockRestore());
    await after.rows(db, { key: 'a' });
    const { length } = prepare.mock.calls;
    expect(length).toBeGreaterThan(0);
    await after.rows(db, { key: 'b' });
    await db.connection().execute((connection) => after.rows(connection, { key: 'c' }));
    expect(prepare).toHaveBeenCalledTimes(length);
  });

  it('cannot be built from a value that is known only when it runs', async () => {
    const computed = new Statement((on, { at }: { readonly at: number }) =>
      on
        .selectFrom('leases')
        .select('hoa')
        .where('expires_at', '>', at + 1),
    );
    await expect(async () => computed.rows(db, { at: 1 })).rejects.toThrow('the value at of a statement is not known');
  });
});
