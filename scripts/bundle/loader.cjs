'use strict';
// Loads the bundled programs: make.mjs copies this file into dist/bundle, beside the chunks.
//
// Each chunk may have a file of V8's compiled code (.cache), which saves two thirds of a start. "node make-cache.cjs" writes
// these files after an installation, since they fit only one version of Node.js. A missing or unfit file is ignored.
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');

const CHUNKS = path.join(__dirname, 'chunks');

/** Parameters of the function around a chunk. `moduleUrl` gives the URL that a module has in dist. */
const PARAMETERS = ['exports', 'require', 'module', 'moduleUrl'];

/** Octets of the digest at the beginning of a file of compiled code. V8 ends the process if such code is damaged. */
const DIGEST = 32;

/** The owner of this file. */
let owner;

const digestOf = (octets) => require('node:crypto').createHash('sha256').update(octets).digest();

/** Chunks by file name. */
const loaded = new Map();

/** Position tables of chunks by file name. */
const positions = new Map();

const moduleUrl = (file) => pathToFileURL(path.join(__dirname, '..', file)).href;

/** What `require` is in a chunk. */
const importFrom = (id) => (id.startsWith('./') ? load(id.slice(2)) : require(id));

function load(name) {
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  const chunk = { exports: {} };
  loaded.set(name, chunk);
  compiled(name, cachedCode(name)).runInThisContext()(chunk.exports, importFrom, chunk, moduleUrl);
  return chunk.exports;
}

function compiled(name, cachedData) {
  const filename = path.join(CHUNKS, name);
  // On one line: positions in the chunk and in this script have the same line.
  const source = `(function(${PARAMETERS}){${fs.readFileSync(filename, 'utf8')}\n})`;
  return new vm.Script(source, { filename, cachedData });
}

/**
 * Reads the compiled code of a chunk. It is executed, so it must belong to root or to the owner of this file, and
 * no other user may be able to write it.
 */
function cachedCode(name) {
  let file;
  try {
    file = fs.openSync(path.join(CHUNKS, `${name}.cache`), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const { uid, mode } = fs.fstatSync(file);
    owner ??= fs.statSync(__filename).uid;
    if ((mode & 0o022) !== 0 || (uid !== 0 && uid !== owner)) return undefined;
    const octets = fs.readFileSync(file);
    const code = octets.subarray(DIGEST);
    return octets.subarray(0, DIGEST).equals(digestOf(code)) ? code : undefined;
  } catch {
    return undefined;
  } finally {
    fs.closeSync(file);
  }
}

/** Shows positions in chunks as positions in the files that were bundled, in stack traces. */
function tracePositions() {
  Error.prepareStackTrace = (error, frames) => {
    let text;
    try {
      text = Error.prototype.toString.call(error);
    } catch {
      text = '<error>';
    }
    return [text, ...frames.map((frame) => `    at ${tracedFrame(frame)}`)].join('\n');
  };
}

function tracedFrame(frame) {
  const text = String(frame);
  const file = frame.getFileName();
  if (typeof file !== 'string' || path.dirname(file) !== CHUNKS) return text;
  const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
  try {
    const { originalSource, originalLine, originalColumn } = positionsOf(path.basename(file)).findEntry(
      line - 1,
      // What is before the chunk on the first line.
      column - 1 - (line === 1 ? `(function(${PARAMETERS}){`.length : 0),
    );
    if (originalSource === undefined) return text;
    const original = path.join(CHUNKS, originalSource);
    return text.replace(`${file}:${line}:${column}`, () => `${original}:${originalLine + 1}:${originalColumn + 1}`);
  } catch {
    return text;
  }
}

function positionsOf(name) {
  let table = positions.get(name);
  if (table === undefined) {
    const { SourceMap } = require('node:module');
    table = new SourceMap(JSON.parse(fs.readFileSync(path.join(CHUNKS, `${name}.map`), 'utf8')));
    positions.set(name, table);
  }
  return table;
}

/**
 * Prints what the build has recorded for a command line of one word, if the program would print the same here: in English,
 * and lines not folded for a narrow terminal. Returns whether it was printed.
 */
function answered(program) {
  const [word, ...others] = process.argv.slice(2);
  if (others.length > 0 || (word !== '--help' && word !== '-h' && word !== '--version')) return false;
  const { LC_ALL, LC_MESSAGES, LANG, LANGUAGE } = process.env;
  if (!/^(?:en|C|POSIX)(?:[^a-z]|$)/.test(LC_ALL || LC_MESSAGES || LANG || LANGUAGE || 'en')) return false;
  let text;
  try {
    const { width, [word]: recorded } = JSON.parse(fs.readFileSync(path.join(__dirname, `${program}.json`), 'utf8'));
    if ((process.stdout.columns ?? width) >= width) text = recorded;
  } catch {
    return false;
  }
  if (text === undefined) return false;
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  process.stdout.write(text);
  return true;
}

/** Runs a program or the program of a thread, whose first chunk has this name. */
exports.run = (name, program) => {
  if (program !== undefined && answered(program)) return;
  tracePositions();
  load(name);
};

/**
 * Writes the compiled code of all chunks. Runs none of them. If that fails, for example because the disk is full, no
 * code is left, an error message is printed, and the exit status is 1: the programs work without it.
 */
exports.makeCache = () => {
  try {
    removeCache();
    for (const name of fs.readdirSync(CHUNKS).filter((file) => file.endsWith('.cjs'))) store(name);
  } catch ({ message }) {
    try {
      removeCache();
    } catch {
      // The first error says why.
    }
    process.stderr.write(
      `cannot store compiled code in ${CHUNKS}: ${message}; programs start more slowly without it\n`,
    );
    process.exitCode = 1;
  }
};

/** Writes the compiled code of one chunk. */
function store(name) {
  const { setFlagsFromString } = require('node:v8');
  // Functions are compiled now and not at their first call.
  setFlagsFromString('--no-lazy');
  const script = compiled(name);
  // Flags are part of what must fit.
  setFlagsFromString('--lazy');
  const file = path.join(CHUNKS, `${name}.cache`);
  const code = script.createCachedData();
  fs.writeFileSync(`${file}.new`, Buffer.concat([digestOf(code), code]), { flag: 'wx' });
  fs.chmodSync(`${file}.new`, 0o644);
  fs.renameSync(`${file}.new`, file);
}

/** Removes the compiled code of all chunks. */
function removeCache() {
  for (const file of fs.readdirSync(CHUNKS).filter((file) => /\.cache(?:\.new)?$/.test(file))) {
    fs.rmSync(path.join(CHUNKS, file));
  }
}
