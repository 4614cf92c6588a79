// Opens a SQLite store in a process of its own, which is killed in front of one of its statements: killed-opener.mjs FILE STATEMENT.
// Without being killed it prints how many statements there were.
import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';

const [path, statement] = process.argv.slice(2);
let left = Number(statement);
let done = 0;

/** What only reads leaves what the statement before has left. */
function step(file, text) {
  if (file.name !== path || /^(select|with)\b/i.test(text)) return;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
  left -= 1;
  done += 1;
}

const { prepare, exec, pragma } = Database.prototype;
Database.prototype.prepare = function (text) {
  const prepared = prepare.call(this, text);
  const counted =
    (method) =>
    (...parameters) => {
      step(this, text);
      return prepared[method](...parameters);
    };
  return { reader: prepared.reader, all: counted('all'), get: counted('get'), run: counted('run') };
};
Database.prototype.exec = function (text) {
  step(this, text);
  return exec.call(this, text);
};
Database.prototype.pragma = function (text, options) {
  step(this, text);
  return pragma.call(this, text, options);
};

// As SqliteBackend.open does: schema, then secret.
const { openSqlite } = await import('../../dist/store/database.js');
const db = await openSqlite(path);
const { ensureSecret } = await import('../../dist/store/secret.js');
await ensureSecret(db, randomBytes);
process.stdout.write(`${done}\n`);
await db.destroy();
