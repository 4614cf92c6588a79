import { checkNai } from '../protocol/mip6/names.js';
import { MAX_ROWS, type SubscriberInput, subscriberInput, text, whole } from './inputs.js';
import { administrative } from './operation.js';
import { MAX_PAGE, StoreError } from './records.js';
import { type Db, POLICY, ROWS } from './rows.js';
import {
  certificateNameOf,
  checkPrivacy,
  homeAddressOf,
  lifetimeOf,
  pinProblem,
  sha256Of,
} from './subscriber-operations.js';

/** A subscriber of a file, with its line number. */
export interface ImportRow {
  readonly line: number;
  readonly subscriber: SubscriberInput;
}

/** An error in a line of a file. */
export interface ImportProblem {
  readonly line: number;
  readonly problem: string;
}

/** Largest number of problems in one answer. */
const MAX_PROBLEMS = 20;

/** Imports all subscribers of a file or none: rows are staged in a separate table, then added in one commit. */
export const importOperations = {
  /** Stages rows of an import. Returns their errors. */
  stageImport: administrative({
    kind: 'lengthy',
    audited: false,
    input: (z) =>
      z.strictObject({
        importId: text(z),
        rows: z
          .array(z.strictObject({ line: whole(z), subscriber: subscriberInput(z) }))
          .max(MAX_ROWS)
          .readonly(),
      }),
    async run(db, { importId, rows }, context): Promise<ImportProblem[]> {
      const problems: ImportProblem[] = [];
      const good = rows.flatMap(({ line, subscriber }) => {
        try {
          return [rowOf(importId, line, subscriber, context.now())];
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          problems.push({ line, problem: error.message });
          return [];
        }
      });
      const lines = new Map<string, number>();
      const fresh = good.filter(({ nai, line }) => {
        const other = lines.get(nai);
        if (other === undefined) lines.set(nai, line);
        else problems.push({ line, problem: `${nai} is already in line ${other}` });
        return other === undefined;
      });
      for (let i = 0; i < fresh.length; i += ROWS) {
        const some = fresh.slice(i, i + ROWS);
        const before = await db
          .selectFrom('import_rows')
          .select(['nai', 'line'])
          .where('import_id', '=', importId)
          .where(
            'nai',
            'in',
            some.map(({ nai }) => nai),
          )
          .execute();
        for (const { nai, line } of before) {
          problems.push({ line: lines.get(nai) ?? 0, problem: `${nai} is already in line ${line}` });
        }
        await db
          .insertInto('import_rows')
          .values(some)
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
      return problems;
    },
  }),

  /**
   * The errors of an import, by line; if there are none, the import can be finished. `update`: subscribers may already
   * exist.
   */
  checkImport: administrative({
    kind: 'read',
    input: (z) => z.strictObject({ importId: text(z), update: z.boolean() }),
    run: (db, { importId, update }) => problemsOf(db, importId, update),
  }),

  /**
   * Adds the rows of an import as subscribers, replacing existing ones. Returns their number. `source`: name for the
   * audit trail.
   */
  finishImport: administrative({
    kind: 'lengthy',
    input: (z) => z.strictObject({ importId: text(z), update: z.boolean(), source: text(z).optional() }),
    async run(db, { importId, update }): Promise<number> {
      const problems = await problemsOf(db, importId, update);
      const [first] = problems;
      if (first) throw new StoreError('ERR_STORE_VALUE', `line ${first.line}: ${first.problem}`);
      const rows = db
        .selectFrom('import_rows')
        .leftJoin('home_agents', 'home_agents.name', 'import_rows.home_agent')
        .where('import_id', '=', importId);
      const updated = await db
        .updateTable('subscribers')
        .from(rows.select([...POLICY, 'import_rows.nai', 'home_agents.id as home_agent_id']).as('imported'))
        .whereRef('subscribers.nai', '=', 'imported.nai')
        .set((expression) => ({
          enabled: expression.ref('imported.enabled'),
          mip6: expression.ref('imported.mip6'),
          local_ha: expression.ref('imported.local_ha'),
          ikev2_hoa: expression.ref('imported.ikev2_hoa'),
          psk_root: expression.ref('imported.psk_root'),
          home_agent_id: expression.ref('imported.home_agent_id'),
          hoa: expression.ref('imported.hoa'),
          session_lifetime: expression.ref('imported.session_lifetime'),
          certificate_name: expression.ref('imported.certificate_name'),
          certificate_sha256: expression.ref('imported.certificate_sha256'),
          sessions: expression.ref('imported.sessions'),
          privacy: expression.ref('imported.privacy'),
          services: expression.ref('imported.services'),
        }))
        .executeTakeFirst();
      // "on conflict" is not used, because it would consume an identifier for each existing subscriber.
      const inserted = await db
        .insertInto('subscribers')
        .columns([...POLICY, 'nai', 'home_agent_id', 'created_at'])
        .expression(
          rows
            .where(({ not, exists, selectFrom }) =>
              not(exists(selectFrom('subscribers').select('id').whereRef('subscribers.nai', '=', 'import_rows.nai'))),
            )
            .select([...POLICY, 'import_rows.nai', 'home_agents.id', 'import_rows.created_at']),
        )
        .executeTakeFirst();
      await db.deleteFrom('import_rows').where('import_id', '=', importId).execute();
      return Number(updated.numUpdatedRows) + Number(inserted.numInsertedOrUpdatedRows ?? 0n);
    },
  }),

  /** Deletes an import, or all imports that have been idle for `age` milliseconds. Throws StoreError. */
  abandonImport: administrative({
    kind: 'lengthy',
    audited: false,
    input: (z) => z.strictObject({ importId: text(z).optional(), age: z.number().optional() }),
    async run(db, { importId, age }, context): Promise<void> {
      if (importId === undefined && age === undefined) {
        throw new StoreError('ERR_STORE_VALUE', 'name an import, or give an age');
      }
      let query = db.deleteFrom('import_rows');
      if (importId !== undefined) query = query.where('import_id', '=', importId);
      if (age !== undefined) {
        // Delete whole imports: the first rows of an active import may be old.
        const old = db
          .selectFrom('import_rows')
          .select('import_id')
          .groupBy('import_id')
          .having((expression) => expression.fn.max('created_at'), '<', context.now() - age);
        query = query.where('import_id', 'in', old);
      }
      await query.execute();
    },
  }),
} as const;

/** The errors of an import, by line. */
async function problemsOf(db: Db, importId: string, update: boolean): Promise<ImportProblem[]> {
  const staged = () =>
    db.selectFrom('import_rows').where('import_id', '=', importId).orderBy('import_rows.line').limit(MAX_PROBLEMS);
  const known = update
    ? []
    : await staged()
        .innerJoin('subscribers', 'subscribers.nai', 'import_rows.nai')
        .select(['import_rows.line', 'import_rows.nai'])
        .execute();
  const nowhere = await staged()
    .leftJoin('home_agents', 'home_agents.name', 'import_rows.home_agent')
    .where('import_rows.home_agent', 'is not', null)
    .where('home_agents.id', 'is', null)
    .select(['import_rows.line', 'import_rows.home_agent'])
    .execute();
  const taken = async (column: 'certificate_name' | 'certificate_sha256' | 'hoa', what: string) => {
    const others = await staged()
      .innerJoin('subscribers', `subscribers.${column}`, `import_rows.${column}`)
      .whereRef('subscribers.nai', '<>', 'import_rows.nai')
      .select(['import_rows.line', 'subscribers.nai'])
      .execute();
    const twice = await db
      .selectFrom('import_rows')
      .where('import_id', '=', importId)
      .where(column, 'is not', null)
      .groupBy(column)
      .having((expression) => expression.fn.count('line'), '>', 1)
      .select((expression) => expression.fn.max('line').as('line'))
      .limit(MAX_PROBLEMS)
      .execute();
    return [
      ...others.map(({ line, nai }) => ({ line, problem: `the subscriber ${nai} already has this ${what}` })),
      ...twice.map(({ line }) => ({ line: Number(line), problem: `this ${what} is already in an earlier line` })),
    ];
  };
  return [
    ...known.map(({ line, nai }) => ({ line, problem: `subscriber ${nai} already exists` })),
    ...nowhere.map(({ line, home_agent }) => ({ line, problem: `no home agent ${home_agent}` })),
    ...(await taken('certificate_name', 'certificate')),
    ...(await taken('certificate_sha256', 'certificate')),
    ...(await taken('hoa', 'home address')),
    ...(await checkPins(db, importId)),
  ]
    .sort((a, b) => a.line - b.line)
    .slice(0, MAX_PROBLEMS);
}

/** The errors of the home addresses of an import. */
async function checkPins(db: Db, importId: string): Promise<ImportProblem[]> {
  const agents = await db.selectFrom('home_agents').selectAll().execute();
  const problems: ImportProblem[] = [];
  let from = '';
  for (;;) {
    const rows = await db
      .selectFrom('import_rows')
      .select(['line', 'nai', 'hoa', 'home_agent'])
      .where('import_id', '=', importId)
      .where('hoa', 'is not', null)
      .where('nai', '>', from)
      .orderBy('nai')
      .limit(MAX_PAGE)
      .execute();
    for (const { line, hoa, home_agent } of rows) {
      const problem = pinProblem(hoa ?? '', home_agent ?? undefined, agents);
      if (problem !== undefined) problems.push({ line, problem });
    }
    const last = rows.at(-1);
    if (!last || problems.length >= MAX_PROBLEMS) return problems;
    from = last.nai;
  }
}

/** Converts a line of the file to a row. Throws StoreError. */
function rowOf(importId: string, line: number, subscriber: ImportRow['subscriber'], now: number) {
  const { nai, homeAddress, certificateName, certificateSha256 } = subscriber;
  const problem = checkNai(nai);
  if (problem) throw new StoreError('ERR_STORE_VALUE', `${JSON.stringify(nai)} cannot be a subscriber: ${problem}`);
  checkPrivacy(subscriber.privacy, subscriber.pskRoot);
  return {
    import_id: importId,
    line,
    nai: nai.toLowerCase(),
    enabled: Number(subscriber.enabled),
    mip6: Number(subscriber.mip6),
    local_ha: Number(subscriber.localHomeAgent),
    ikev2_hoa: Number(subscriber.ikev2HomeAddress ?? false),
    psk_root: subscriber.pskRoot ?? null,
    home_agent: subscriber.homeAgent ?? null,
    hoa: homeAddress === undefined ? null : homeAddressOf(homeAddress),
    session_lifetime: subscriber.sessionLifetime === undefined ? null : lifetimeOf(subscriber.sessionLifetime),
    certificate_name: certificateName === undefined ? null : certificateNameOf(certificateName),
    certificate_sha256: certificateSha256 === undefined ? null : sha256Of(certificateSha256),
    sessions: subscriber.sessions,
    privacy: subscriber.privacy ?? 'optional',
    services: subscriber.services ?? 'none',
    created_at: now,
  };
}
