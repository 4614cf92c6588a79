// For build.sh: copies what the installed package needs of node_modules, and prints the licences of these modules.
//   node modules.mjs FOLDER >licences
// FOLDER gets a node_modules with the code of all production modules. Documentation, types and sources stay out.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const [target = ''] = process.argv.slice(2);

/** Modules that only an installation by npm needs. */
const INSTALLERS = new Set(['prebuild-install']);

/** Files that a running program reads. */
const CODE = new Set(['.js', '.cjs', '.mjs', '.json', '.wasm']);

/** Folders of modules without anything that a running program reads. */
const IDLE = new Set([
  'test',
  'tests',
  '__tests__',
  'docs',
  'examples',
  'benchmarks',
  'benchmark',
  'bench',
  'node_modules',
]);

/** Commands of modules for shells. */
const PROGRAMS = new Set(['bin.js', 'bin.mjs']);

/** The only file of a compiled addon that is used. */
const ADDONS = { 'better-sqlite3': { drop: ['build', 'deps', 'src'], keep: 'build/Release/better_sqlite3.node' } };

const { packages } = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8'));

/** The path in the lock file of a module as another one imports it. */
function resolve(name, from) {
  for (let place = from; ; place = place.replace(/\/?node_modules\/(?:@[^/]+\/)?[^/]+$/, '')) {
    const path = join(place, 'node_modules', name);
    if (path in packages) return path;
    if (place === '') return undefined;
  }
}

/** A licence as Debian wants it: the text of a common one is on each system. */
function asInDebian(text) {
  const apache = /^ *Apache License\s+Version 2\.0, January 2004[\s\S]*?END OF TERMS AND CONDITIONS/m;
  const gpl = /^ *GNU GENERAL PUBLIC LICENSE\s+Version 2[\s\S]*/m;
  return text
    .replaceAll('\r', '')
    .replace(apache, 'Apache License, version 2.0: /usr/share/common-licenses/Apache-2.0')
    .replace(gpl, 'GNU General Public License, version 2: /usr/share/common-licenses/GPL-2')
    .trim();
}

/** Production modules by path. */
function needed(from, found = new Set()) {
  const { dependencies = {}, optionalDependencies = {} } = packages[from];
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const path = INSTALLERS.has(name) ? undefined : resolve(name, from);
    if (path === undefined || found.has(path) || !existsSync(join(PROJECT, path))) continue;
    found.add(path);
    needed(path, found);
  }
  return found;
}

function copyCode(from, to, drop) {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const { name } = entry;
    if (name.startsWith('.') || IDLE.has(name) || drop.includes(name)) continue;
    const [source, copy] = [join(from, name), join(to, name)];
    if (entry.isDirectory()) {
      copyCode(source, copy, []);
    } else if (entry.isFile() && CODE.has(extname(name)) && !PROGRAMS.has(name)) {
      mkdirSync(to, { recursive: true });
      cpSync(source, copy);
    }
  }
}

const texts = new Map();
for (const path of [...needed('')].sort()) {
  const folder = join(PROJECT, path);
  const { drop = [], keep } = ADDONS[path.replace('node_modules/', '')] ?? {};
  copyCode(folder, join(target, path), drop);
  if (keep !== undefined) {
    mkdirSync(join(target, path, dirname(keep)), { recursive: true });
    cpSync(join(folder, keep), join(target, path, keep));
  }
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const { version, license } = packages[path];
  const text =
    file === undefined ? `Its package states the licence ${license}.` : readFileSync(join(folder, file), 'utf8');
  const of = `${path.replace(/^.*node_modules\//, '')} ${version} (${license})`;
  const key = asInDebian(text);
  texts.set(key, [...(texts.get(key) ?? []), of]);
}
for (const [text, modules] of texts) process.stdout.write(`\n${'-'.repeat(80)}\n${modules.join('\n')}\n\n${text}\n`);
