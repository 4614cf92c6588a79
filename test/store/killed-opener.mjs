// killed-opener.mjs FILE STATEMENT: opens a SQLite store and kills its process before this statement. If there is no such
// statement, it prints the number of statements.
import Database from 'better-sqlite3';

const [path, statement] = process.argv.slice(2);
let left = Number(statement);
let done = 0;

/** Counts statements that may write; a kill before a read leaves the same files. */
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

const { SqliteBackend } = await import('../../dist/store/database.js');
const backend = await SqliteBackend.open(path);
process.stdout.write(`${done}\n`);
await backend.close();
