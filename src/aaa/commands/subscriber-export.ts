import { once } from 'node:events';
import { visibleLines } from '../../runtime/system/terminal.js';
import { MAX_PAGE } from '../../store/records.js';
import { type Argument, withStore } from './store-access.js';
import { writeRows } from './subscriber-file.js';
import { FORMATS } from './subscriber-policy.js';

/** Writes all subscribers to standard output, page by page. */
export function exportSubscribers(argv: Argument): Promise<void> {
  const format = FORMATS.find((name) => name === argv['format']) ?? 'csv';
  return withStore(argv, async (store) => {
    let from: string | undefined;
    let first = true;
    do {
      const page = await store.run('listSubscribers', { from, limit: MAX_PAGE });
      const rows = writeRows(page.items, format, first);
      // Write values to a file unescaped.
      if (!process.stdout.write(process.stdout.isTTY ? visibleLines(rows) : rows)) await once(process.stdout, 'drain');
      first = false;
      from = page.next;
    } while (from !== undefined && from !== null);
  });
}
