// Bundles the compiled programs, for a fast start: part of "npm run build", after tsc.
//   dist/bundle/chunks      chunks, their position tables (.map), what V8 compiled of them (.cache)
//   dist/bundle             the programs, their loader, and what they print for --help and --version
//   dist/aaa/main.js, …     load the bundle; "npx tsc" alone puts the unbundled programs back
// The modules in dist stay: they are the library, and stack traces name them.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = join(PROJECT, 'dist');
const BUNDLE = join(DIST, 'bundle');
const CHUNKS = join(BUNDLE, 'chunks');
const STRING_WIDTH = fileURLToPath(new URL('string-width.cjs', import.meta.url));

/** Programs by the name of their command. */
const PROGRAMS = {
  'pana-aaa': 'aaa/main.js',
  'pana-paa': 'paa/main.js',
  'pana-pac': 'pac/main.js',
  'pana-pre': 'pre/main.js',
  'pana-mip6': 'tool/main.js',
};

/** Modules with files of their own: compiled addons, and what finds its files by its place. */
const EXTERNAL = ['better-sqlite3', 'pg-native'];

/** Columns of help that is not printed to a terminal (src/runtime/cli/cli.ts). */
const WIDTH_OF_HELP = 110;

/** Line at the top of the files that this script puts in the place of compiled ones. */
const REPLACED = '// Made by scripts/bundle/make.mjs.';

/** Programs of threads: `new URL('./worker.js', import.meta.url)`. Benchmarks start theirs as they are compiled. */
function threadPrograms() {
  const files = readdirSync(DIST, { recursive: true }).filter((file) => /^(?!bundle|lab).*\.js$/.test(file));
  const found = files.flatMap((file) =>
    [...readFileSync(join(DIST, file), 'utf8').matchAll(/new URL\('([^']+\.js)', import\.meta\.url\)/g)].map(
      ([, path]) => join(dirname(file), path),
    ),
  );
  return [...new Set(found)].sort();
}

/** Gives each module the URL that it has in dist, and replaces string-width. */
const adaptModules = {
  name: 'adapt-modules',
  resolveId: (id, importer) => (id === 'string-width' && importer !== STRING_WIDTH ? STRING_WIDTH : undefined),
  transform: (code, id) => ({
    // The same lines and columns, apart from those after the URL.
    code: code
      .replace(/^#!.*/, '')
      .replaceAll('import.meta.url', () => `moduleUrl(${JSON.stringify(relative(DIST, id))})`),
    map: null,
  }),
};

/** Modules of packages of which programs use a part: without the rest, less is loaded at each start. */
const IN_PART = {
  name: 'in-part',
  transform: (code, id) => {
    const [path] = id.replaceAll('\\', '/').split('/node_modules/').reverse();
    const part = PARTS[path]?.();
    if (part !== undefined) replaced.add(path);
    return { code: part ?? code, map: null };
  },
};

/** The modules of PARTS that were found. */
const replaced = new Set();

const PARTS = {
  // No program selects another language of its messages.
  'zod/v4/locales/index.js': () => "export { default as en } from './en.js';\n",
  // Its namespace keeps all modules.
  'zod/index.js': () => {
    const members = membersOf('z', 'zod');
    const names = members.map((member) => `${member} as _${member}`);
    const values = members.map((member) => `${member}: _${member}`);
    return `import { ${names} } from './v4/classic/external.js';\nexport const z = { ${values} };\n`;
  },
  // Without the modules for clusters and the gateway, which load HTTPS.
  'prom-client/index.js': () =>
    [
      ...['registry', 'counter', 'gauge', 'histogram'].map(
        (name) => `exports.${name[0].toUpperCase()}${name.slice(1)} = require('./lib/${name}');\n`,
      ),
      "exports.collectDefaultMetrics = require('./lib/defaultMetrics');\n",
    ].join(''),
  // Used with traces of OpenTelemetry only, which no program makes.
  '@opentelemetry/api/dist/index.cjs': () => '',
};

/** The members of a package's namespace that compiled modules use. */
function membersOf(namespace, packageName) {
  const files = readdirSync(DIST, { recursive: true }).filter((file) => /^(?!bundle).*\.js$/.test(file));
  const uses = files
    .map((file) => readFileSync(join(DIST, file), 'utf8'))
    .filter((text) => text.includes(`import { ${namespace} } from '${packageName}'`))
    .flatMap((text) => [...text.matchAll(new RegExp(`\\b${namespace}\\.(\\w+)`, 'g'))].map(([, member]) => member));
  return [...new Set(uses)].sort();
}

const entries = [...Object.values(PROGRAMS), ...threadPrograms()];
for (const entry of entries) {
  if (readFileSync(join(DIST, entry), 'utf8').includes(REPLACED))
    throw new Error(`dist/${entry} is bundled already: run tsc`);
}
rmSync(BUNDLE, { recursive: true, force: true });
mkdirSync(CHUNKS, { recursive: true });

const bundle = await rolldown({
  cwd: PROJECT,
  input: Object.fromEntries(
    entries.map((entry) => [entry.replace(/\.js$/, '').replaceAll('/', '-'), join(DIST, entry)]),
  ),
  platform: 'node',
  external: EXTERNAL,
  plugins: [IN_PART, adaptModules],
  // A part of yargs that is not used.
  transform: { define: { 'import.meta.resolve': 'undefined' } },
  onLog: (level, log, report) => {
    // A module that is not found here is not found where the package is installed, or only by chance.
    if (log.code === 'UNRESOLVED_IMPORT' || log.code === 'EMPTY_IMPORT_META') throw new Error(log.message);
    // Such a module is in the chunk of those that import it statically.
    if (log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') report(level, log);
  },
});
const { output } = await bundle.write({
  dir: CHUNKS,
  format: 'cjs',
  entryFileNames: '[name]-[hash].cjs',
  chunkFileNames: '[name]-[hash].cjs',
  // Modules run in the order in which they are imported, as they do unbundled.
  strictExecutionOrder: true,
  comments: { legal: true, annotation: false, jsdoc: false },
  // The loader has no import().
  dynamicImportInCjs: false,
  sourcemap: true,
  sourcemapExcludeSources: true,
});
await bundle.close();
for (const path of Object.keys(PARTS)) {
  if (!replaced.has(path)) throw new Error(`there is no module ${path} any more`);
}

copyFileSync(fileURLToPath(new URL('loader.cjs', import.meta.url)), join(BUNDLE, 'loader.cjs'));
writeFileSync(join(BUNDLE, 'make-cache.cjs'), "'use strict';\nrequire('./loader.cjs').makeCache();\n");
for (const { isEntry, fileName, facadeModuleId } of output) {
  if (!isEntry) continue;
  const entry = relative(DIST, facadeModuleId);
  const loader = join(relative(dirname(entry), 'bundle'), 'loader.cjs');
  const [program] = Object.entries(PROGRAMS).find(([, path]) => path === entry) ?? [];
  const run = `run(${[fileName, ...(program ? [program] : [])].map((name) => `'${name}'`).join(', ')});\n`;
  const first = `${program ? '#!/usr/bin/env node\n' : ''}${REPLACED}\n`;
  writeFileSync(
    join(DIST, entry),
    `${first}import { createRequire } from 'node:module';\n\ncreateRequire(import.meta.url)('${loader}').${run}`,
  );
  if (program)
    writeFileSync(join(BUNDLE, `${program}.cjs`), `${first}'use strict';\nrequire('./loader.cjs').${run}`, {
      mode: 0o755,
    });
}

createRequire(import.meta.url)(join(BUNDLE, 'loader.cjs')).makeCache();

// Rendering the help takes longer than everything else that it needs.
for (const program of Object.keys(PROGRAMS)) {
  const { NODE_OPTIONS: _, ...environment } = { ...process.env, LC_ALL: 'C' };
  const printed = (word) =>
    execFileSync(process.execPath, [join(BUNDLE, `${program}.cjs`), word], { env: environment, encoding: 'utf8' });
  const help = printed('--help');
  const answers = { width: WIDTH_OF_HELP, '--help': help, '-h': help, '--version': printed('--version') };
  writeFileSync(join(BUNDLE, `${program}.json`), JSON.stringify(answers));
}
